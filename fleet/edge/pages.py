"""What the edge serves by itself: the OpenAPI document and the page that tries it."""

from pathlib import Path
from typing import Any

from fleet.edge.errors import EdgeError
from fleet.edge.limits import unlimited
from fleet.edge.settings import EdgeSettings

Json = dict[str, Any]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page_routes(settings: EdgeSettings) -> list[Json]:
    """Routes of the static pages; each file is read once, when Envoy starts."""
    docs = settings.project_root / "envoy" / "docs"
    openapi = settings.project_root / "gen" / "openapi"
    files = {
        "/docs": (docs / "index.html", "text/html; charset=utf-8"),
        "/docs/docs.js": (docs / "docs.js", "text/javascript; charset=utf-8"),
        "/docs/docs.css": (docs / "docs.css", "text/css; charset=utf-8"),
        "/openapi.json": (openapi / "greenledger.json", "application/json"),
    }
    if (openapi / "greenledger.yaml").is_file():
        files["/openapi.yaml"] = (openapi / "greenledger.yaml", "application/yaml")
    routes = [_file(path, file, kind) for path, (file, kind) in files.items()]
    routes += [_other_verbs(path) for path in files]
    routes += [_redirect("/", "/docs"), _redirect("/docs/", "/docs")]
    # They cost nothing, and whoever reads them has not called anything yet.
    return [{**route, "typed_per_filter_config": unlimited()} for route in routes]


def _file(path: str, file: Path, content_type: str) -> Json:
    if not file.is_file():
        raise EdgeError(f"{file} is missing: run `make gen`")
    return {
        "name": f"page:{path}",
        "match": {
            "path": path,
            "headers": [{"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}],
        },
        "direct_response": {"status": 200, "body": {"filename": str(file)}},
        "response_headers_to_add": [
            _header("content-type", content_type),
            _header("content-security-policy", _POLICY),
            _header("x-content-type-options", "nosniff"),
            _header("referrer-policy", "no-referrer"),
            _header("cache-control", "no-cache"),
        ],
    }


def _other_verbs(path: str) -> Json:
    return {
        "name": f"verb:{path}",
        "match": {"path": path},
        "direct_response": {"status": 405},
        "response_headers_to_add": [_header("allow", "GET, HEAD")],
    }


def _redirect(path: str, to: str) -> Json:
    return {
        "name": f"page:{path}",
        "match": {"path": path},
        "redirect": {"path_redirect": to, "response_code": "FOUND"},
    }


def _header(name: str, value: str) -> Json:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
