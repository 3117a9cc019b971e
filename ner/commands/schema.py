"""Print the JSON Schema of configurations, for editors, or all keys as a page."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from ner.runtime import cli


def main(argv: Sequence[str] | None = None) -> int:
    """``ner schema``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markdown", action="store_true", help="a page of all keys instead")
    return cli.run(parser, _print_schema, argv)


def _print_schema(arguments: argparse.Namespace) -> None:
    from ner.config.schema import RunConfig

    if arguments.markdown:
        sys.stdout.write(_page())
        return
    schema = _with_parts(RunConfig.model_json_schema())
    sys.stdout.write(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")


def _with_parts(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with every part's own fields where a part is named."""
    from ner.config.parts import component_names, load_component

    folders: set[str] = set()

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(item) for item in value]
        if not isinstance(value, dict):
            return value
        if value == {"$ref": "#/$defs/ComponentConfig"}:
            return {"type": ["object", "string"]}
        if "component" in value:
            folders.add(value["component"])
            kept = {key: walk(item) for key, item in value.items() if key in ("description", "default")}
            return {**kept, "$ref": f"#/$defs/{value['component']}"}
        return {key: walk(item) for key, item in value.items()}

    schema = walk(schema)
    for folder in sorted(folders):
        options: list[dict[str, Any]] = [{"enum": component_names(folder)}]
        for name in component_names(folder):
            part = walk(load_component(folder, name).Config.model_json_schema())
            schema["$defs"].update(part.pop("$defs", {}))
            schema["$defs"][f"{folder}.{name}"] = {**part, "required": ["name", *part.get("required", [])]}
            options.append({"$ref": f"#/$defs/{folder}.{name}"})
        schema["$defs"][folder] = {"anyOf": options}
    schema["$defs"].pop("ComponentConfig", None)
    return schema


def _page() -> str:
    """Every key with its default and its sentence, as Markdown."""
    from ner.config.base import ComponentConfig, ConfigSection
    from ner.config.parts import component_names, load_component
    from ner.config.schema import RunConfig

    lines = [
        "# Configuration",
        "",
        "Made by `ner schema --markdown`. A configuration is YAML 1.2 (`5e-5` is a number, `NO` a string); every key",
        "can be set on the command line as `key.sub=value`. A part is named by its file: `context: bilstm` is short",
        "for `context: {name: bilstm}`, and more keys of it stand beside `name`. Keys that do not exist are refused.",
        "",
    ]

    def table(title: str, section: type[ConfigSection]) -> None:
        lines.extend([title, "", (section.__doc__ or "").strip(), "", "| key | default | meaning |", "|---|---|---|"])
        below: list[tuple[str, type[ConfigSection]]] = []
        for key, field in section.model_fields.items():
            kind = field.annotation
            meaning = " ".join((field.description or "").split())
            if isinstance(kind, type) and issubclass(kind, ConfigSection) and not issubclass(kind, ComponentConfig):
                below.append((key, kind))
                default = "see below"
            else:
                default = "required" if field.is_required() else f"`{json.dumps(field.default)}`"
            lines.append(f"| `{key}` | {default} | {meaning} |")
        lines.append("")
        for key, kind in below:
            table(f"{title.rstrip('`')}{'.' if title.endswith('`') else ' `'}{key}`", kind)

    table("## The file", RunConfig)
    for folder in ("encoders", "context", "decoders", "formats"):
        for name in component_names(folder):
            table(f"## {folder}/{name}", load_component(folder, name).Config)
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
