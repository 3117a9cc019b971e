"""Print the JSON Schema of configurations, for editors that complete and check them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from ner import cli


def main(argv: Sequence[str] | None = None) -> int:
    """``ner schema``."""
    return cli.run(argparse.ArgumentParser(description=__doc__), _print_schema, argv)


def _print_schema(arguments: argparse.Namespace) -> None:
    from ner.config import RunConfig

    schema = _with_parts(RunConfig.model_json_schema())
    sys.stdout.write(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")


def _with_parts(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with every part's own fields where a part is named."""
    from ner.config import component, names

    folders: set[str] = set()

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(item) for item in value]
        if not isinstance(value, dict):
            return value
        if value == {"$ref": "#/$defs/Part"}:
            return {"type": ["object", "string"]}
        if "part" in value:
            folders.add(value["part"])
            kept = {key: walk(item) for key, item in value.items() if key in ("description", "default")}
            return {**kept, "$ref": f"#/$defs/{value['part']}"}
        return {key: walk(item) for key, item in value.items()}

    schema = walk(schema)
    for folder in sorted(folders):
        options: list[dict[str, Any]] = [{"enum": names(folder)}]
        for name in names(folder):
            part = walk(component(folder, name).Config.model_json_schema())
            schema["$defs"].update(part.pop("$defs", {}))
            schema["$defs"][f"{folder}.{name}"] = {**part, "required": ["name", *part.get("required", [])]}
            options.append({"$ref": f"#/$defs/{folder}.{name}"})
        schema["$defs"][folder] = {"anyOf": options}
    schema["$defs"].pop("Part", None)
    return schema


if __name__ == "__main__":
    sys.exit(main())
