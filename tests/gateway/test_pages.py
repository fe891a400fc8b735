"""The pages: from memory, versioned, with a strict policy."""

from pathlib import Path

import aiohttp
import pytest

from gateway import app
from gateway.pages import PAGE_POLICY, SCAN_POLICY, WEB_DIR, Site
from tests.gateway.conftest import Start

HTML = '<link rel="stylesheet" href="/static/css/a.css"><script src="/static/js/a.js"></script>'


@pytest.fixture
def web(tmp_path: Path) -> Path:
    for name in ("index.html", "seat.html", "order.html"):
        (tmp_path / name).write_text(f"<!doctype html><title>{name}</title>{HTML}")
    (tmp_path / "css").mkdir()
    (tmp_path / "css" / "a.css").write_text("body { color: red }" * 50)
    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "a.js").write_text("export const a = 'é';")
    (tmp_path / "notes.md").write_text("not served")
    return tmp_path


async def test_pages_and_files_are_served(start: Start, web: Path) -> None:
    gateway = await start()
    site = Site(web)
    server = await app.serve(
        app.build(gateway.fake.backend, gateway.edge.config, web), "127.0.0.1", 0
    )
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as http:
            for path, name in (
                ("/", "index.html"),
                ("/p/12", "seat.html"),
                ("/o/" + "0a" * 16, "order.html"),
            ):
                async with http.get(path) as response:
                    text = await response.text()
                    assert name in text
                    assert f'"/static/{site.version}/css/a.css"' in text
                    assert response.headers["Content-Security-Policy"] == PAGE_POLICY
                    assert response.headers["Cache-Control"] == "no-cache"
                    assert response.content_type == "text/html"
                    etag = response.headers["ETag"]
                async with http.get(path, headers={"If-None-Match": etag}) as response:
                    assert response.status == 304
            async with http.get(f"/static/{site.version}/js/a.js") as response:
                assert "immutable" in response.headers["Cache-Control"]
                assert response.content_type == "text/javascript"
                assert "é" in await response.text()
            async with http.get("/static/css/a.css") as response:
                assert response.headers["Cache-Control"] == "no-cache"
                assert response.headers["Content-Encoding"] == "gzip"
            for path in (
                "/static/notes.md",
                "/static/index.html",
                f"/static/{site.version}/index.html",
                "/static/0000000000000000/js/a.js",
                "/static/%2e%2e/notes.md",
                "/o/not-hex",
            ):
                async with http.get(path) as response:
                    assert response.status == 404, path
    finally:
        await server.stop()


def test_the_version_follows_the_contents(web: Path) -> None:
    before = Site(web).version
    assert Site(web).version == before
    (web / "js" / "a.js").write_text("export const a = 2;")
    assert Site(web).version != before


def test_the_policy_allows_nothing_from_elsewhere_and_nothing_inline() -> None:
    assert "default-src 'self'" in PAGE_POLICY
    assert "unsafe" not in PAGE_POLICY and "http" not in PAGE_POLICY and "*" not in PAGE_POLICY


async def test_the_scanner_alone_may_run_its_decoder(start: Start) -> None:
    gateway = await start()
    for path, policy in (
        ("/scan", SCAN_POLICY),
        ("/", PAGE_POLICY),
        ("/scan-worker.js", PAGE_POLICY),
    ):
        async with gateway.http.get(path) as response:
            assert response.headers["Content-Security-Policy"] == policy, path
    assert SCAN_POLICY == f"{PAGE_POLICY}; script-src 'self' 'wasm-unsafe-eval'"
    decoder = f"/static/{Site(WEB_DIR).version}/vendor/zxing/zxing_reader.wasm"
    async with gateway.http.get(decoder) as response:
        assert response.content_type == "application/wasm"


def test_our_own_pages_have_nothing_inline_and_nothing_from_elsewhere() -> None:
    pages = list(WEB_DIR.glob("*.html"))
    assert pages
    for page in pages:
        text = page.read_text()
        assert "<style" not in text and " style=" not in text and " onclick=" not in text
        assert "<script>" not in text
        assert 'src="http' not in text and 'href="http' not in text
