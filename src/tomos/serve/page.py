"""The page: files built from `web/` into `static/`, or a word on how to build them."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles

STATIC = Path(__file__).parent / "static"
ROOT_FILES = {
    "icon.svg": "image/svg+xml",
    "favicon.ico": "image/svg+xml",
    "site.webmanifest": "application/manifest+json",
}
UNBUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Tomos</title>
<h1>The page is not built</h1>
<p>The server works; its page was not built when Tomos was installed, for want of Node and npm.</p>
<p>In the source folder run <code>make web</code>, or: <code>cd web &amp;&amp; npm ci &amp;&amp; npm
run build</code>. Then reload.</p>
<p lang="zh-CN">服务器运行正常，但安装时缺少 Node 和 npm，网页尚未构建。请在源码目录中运行
<code>make web</code>，然后刷新本页。</p>
<p><a href="/openapi.json">OpenAPI</a> · <a href="/api/models">models</a></p>
</html>"""


def mount(app: FastAPI, language: str, static: Path) -> None:
    """Serve the built page at `/`; its hashed assets may be kept by the browser for ever."""

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    def index() -> Response:
        built = static / "index.html"
        if not built.is_file():
            return HTMLResponse(UNBUILT, status_code=503)
        text = built.read_text(encoding="utf-8")
        return HTMLResponse(text.replace('data-language="auto"', f'data-language="{language}"', 1))

    def root_file(name: str, kind: str):
        def answer() -> Response:
            file = static / ("icon.svg" if name == "favicon.ico" else name)
            headers = {"cache-control": "max-age=86400"}
            if not file.is_file():
                return Response(status_code=404)
            return FileResponse(file, media_type=kind, headers=headers)

        return answer

    for name, kind in ROOT_FILES.items():
        app.add_api_route(f"/{name}", root_file(name, kind), include_in_schema=False)
    app.mount("/assets", _Assets(directory=static / "assets", check_dir=False))


class _Assets(StaticFiles):
    """Files whose names hold a hash of their content."""

    def file_response(self, *args, **kwargs) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response
