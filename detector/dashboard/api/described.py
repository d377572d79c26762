"""The OpenAPI document: routes as Litestar sees them, shapes as msgspec reads and writes them, errors as problems."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Litestar, Request, Router, get
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.routes import HTTPRoute

from detector.dashboard import shapes
from detector.dashboard.api.guarding import ANYBODY, role
from detector.dashboard.api.problem import PROBLEM

Document = dict[str, Any]
REF = "#/components/schemas/"
HOME = "detector.dashboard.shapes."
PAGE = re.compile(rf"Page_{re.escape(HOME)}(\w+)_")
# Two structs are called Reason: what a person gives, and what an alert says.
NAMES = {"detector.alert.Reason": "AlertReason", f"{HOME}Reason": "Reason", "dashboard_shapes_Reason": "Reason"}
WAYS_IN = {
    "session": {"type": "apiKey", "in": "cookie", "name": "__Host-querywarden"},
    "token": {"type": "http", "scheme": "bearer"},
}


def config(api: str) -> OpenAPIConfig:
    """For Litestar, which finds the routes. It renders no page: those come with scripts of other sites."""
    return OpenAPIConfig(
        title="querywarden dashboard",
        version=version("querywarden"),
        render_plugins=[JsonRenderPlugin()],
        openapi_router=Router(f"{api}/openapi", route_handlers=[], opt=role(ANYBODY), include_in_schema=False),
        operation_id_creator=lambda handler, _method, _path: handler.handler_name.strip("_"),
        use_handler_docstrings=True,
    )


def described(app: Litestar) -> Document:
    """The document. `x-role`: the least role of an operation."""
    found = app.openapi_schema.to_schema()
    pages = sorted(set(PAGE.findall(str(found["paths"]))))
    paths = _renamed(found["paths"])
    for route in app.routes:
        if isinstance(route, HTTPRoute) and route.path_format in paths:
            for method, (handler, _) in route.route_handler_map.items():
                if operation := paths[route.path_format].get(method.lower()):
                    _complete(operation, handler)
    found["paths"] = paths
    found["components"] = {"schemas": _schemas(pages), "securitySchemes": WAYS_IN}
    return found


def _complete(operation: Document, handler: HTTPRouteHandler) -> None:
    least = handler.opt["role"]
    operation["x-role"] = least
    operation["security"] = [] if least == ANYBODY else [{"session": []}, {"token": []}]
    words = {"400": "Cannot be read", "403": "Not yours to do", **({} if least == ANYBODY else {"401": "Log in first"})}
    said = operation["responses"]
    for status, description in words.items():
        said.setdefault(status, {"description": description})
    if "204" in said:
        said["204"].pop("content", None)
    for status in [status for status in said if status >= "400"]:
        said[status]["content"] = {PROBLEM: {"schema": {"$ref": f"{REF}Problem"}}}
    said["default"] = {"description": "Not now", "content": {PROBLEM: {"schema": {"$ref": f"{REF}Problem"}}}}


def _schemas(pages: list[str]) -> Document:
    structs = [one for one in vars(shapes).values() if _is_shape(one)]
    page: Any = shapes.Page  # mypy takes what is in the brackets for a type
    listed = [page[getattr(shapes, name)] for name in pages]
    _, found = msgspec.json.schema_components([*structs, *listed], ref_template=REF + "{name}")
    return {_name(name): _renamed(schema) for name, schema in found.items()}


def _is_shape(one: object) -> bool:
    ours = isinstance(one, type) and issubclass(one, msgspec.Struct) and one is not shapes.Page
    return ours and one.__module__ == shapes.__name__


def _renamed(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: REF + _name(value.removeprefix(REF)) if key == "$ref" else _renamed(value)
            for key, value in node.items()
        }
    return [_renamed(one) for one in node] if isinstance(node, list) else node


def _name(name: str) -> str:
    """`EntityRowPage` for both writings of Page[EntityRow]."""
    page = re.fullmatch(rf"Page_(?:{re.escape(HOME)})?(\w+)_", name)
    return f"{page[1]}Page" if page else NAMES.get(name, name)


@get("/openapi.json", opt=role(ANYBODY), include_in_schema=False, sync_to_thread=False)
def document(request: Request[Any, Any, Any]) -> Document:
    """The API, described."""
    state = request.app.state
    if "described" not in state:  # takes a moment, and most that start the dashboard never ask
        state.described = described(request.app)
    made: Document = state.described
    return made
