# Serves the export in the folder "exported" of the build context, without torch:
#     ner export --run RUN --output exported && docker build -t ner . && docker run -p 127.0.0.1:8000:8000 ner
FROM python:3.12-slim AS build
WORKDIR /src
COPY constraints.txt ./
COPY packages/runtime packages/runtime
COPY ner ner
RUN python -m venv /opt/ner \
    && /opt/ner/bin/pip install --no-cache-dir -c constraints.txt './packages/runtime[chinese,serve]'

FROM python:3.12-slim
COPY --from=build /opt/ner /opt/ner
COPY exported /model
RUN useradd --system --uid 10001 --no-create-home ner
ENV PATH="/opt/ner/bin:$PATH" PYTHONDONTWRITEBYTECODE=1
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["ner", "serve", "--run", "/model", "--host", "0.0.0.0"]
