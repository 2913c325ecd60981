"""The examples in docs/api.md: requests exist with their parameters, and answers have the fields that are shown."""

import json
import re
import shlex
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from openapi_schema_validator import OAS31Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from app.api import blueprint

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
BLOCKS = [
    (language, textwrap.dedent(code))
    for language, code in re.findall(r"^ *```(\w+)\n(.*?)^ *```$", TEXT, re.DOTALL | re.MULTILINE)
]
OPENAPI = "/api/openapi.json"


DOCUMENT = blueprint.document()


def requests_in(code: str) -> Iterator[tuple[str, str, str]]:
    """Yield method, URL and body of each curl command in a block."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["curl"]:
            options = dict(pairwise(words))
            url = next(word for word in words if word.startswith("http:"))
            yield options.get("-X", "GET").lower(), url, options.get("-d", "")


REQUESTS = [each for language, code in BLOCKS if language == "sh" for each in requests_in(code)]


def operation_of(method: str, url: str) -> dict[str, Any]:
    """Return the operation of a request; a path without parameters comes first."""
    path = urlsplit(url).path
    for template in sorted(DOCUMENT["paths"], key=lambda each: each.count("{")):
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path) and method in DOCUMENT["paths"][template]:
            found: dict[str, Any] = DOCUMENT["paths"][template][method]
            return found
    pytest.fail(f"docs/api.md: no operation for {method.upper()} {path}")


def closed(schema: Any) -> Any:
    """Return a schema that allows only the properties it names."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    return found | {"additionalProperties": False} if "properties" in found else found


def validator(reference: dict[str, Any]) -> OAS31Validator:
    """Return a validator for a schema of the document, with the other schemas to refer to."""
    resource: Resource[Any] = Resource.from_contents({"components": closed(DOCUMENT["components"])}, DRAFT202012)
    located = {"$ref": f"urn:document{reference['$ref']}"}
    return OAS31Validator(located, registry=Registry().with_resource("urn:document", resource))


def answers() -> Iterator[tuple[str, list[dict[str, Any]], str]]:
    """Yield each JSON example with the schemas of the request before it; a problem document has a schema of its own."""
    before: list[tuple[str, str, str]] = []
    for language, code in BLOCKS:
        if language == "sh":
            before = list(requests_in(code))
        elif language == "json" and '"type": "about:blank"' in code:
            yield "problem", [{"$ref": "#/components/schemas/Problem"}], code
        elif language == "json":
            operation = operation_of(*before[-1][:2])
            found = [
                each["content"]["application/json"]["schema"]
                for status, each in operation["responses"].items()
                if status[0] == "2"
            ]
            yield operation["operationId"], found, code


@pytest.mark.parametrize(("method", "url", "body"), [each for each in REQUESTS if OPENAPI not in each[1]])
def test_each_request_of_the_document_exists_with_its_parameters(method: str, url: str, body: str) -> None:
    operation = operation_of(method, url)
    known = {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"}
    assert set(parse_qs(urlsplit(url).query)) <= known
    if body:
        [content] = operation["requestBody"]["content"].values()
        validator(content["schema"]).validate(json.loads(body))


def test_the_document_has_a_request_for_each_operation() -> None:
    shown = {operation_of(method, url)["operationId"] for method, url, _ in REQUESTS if OPENAPI not in url}
    assert {each["operationId"] for path in DOCUMENT["paths"].values() for each in path.values()} - shown == set()


@pytest.mark.parametrize(("name", "schemas", "code"), [*answers()])
def test_each_answer_of_the_document_has_the_fields_of_its_schema(
    name: str, schemas: list[dict[str, Any]], code: str
) -> None:
    found = json.loads(code)
    errors = [[str(error.message) for error in validator(schema).iter_errors(found)] for schema in schemas]
    assert any(not each for each in errors), f"{name}: {errors}"


@pytest.mark.parametrize("code", [code for language, code in BLOCKS if language == "python"])
def test_each_python_example_compiles_and_uses_paths_that_exist(code: str) -> None:
    compile(code, "docs/api.md", "exec")
    for method, path in re.findall(r'session\.(get|post|delete)\(f"{base}([^"]+)"', code):
        operation_of(method, re.sub(r"{\w+}", "1", path))
    for path in re.findall(r'pages\("([^"]+)"', code):
        operation_of("get", path)
