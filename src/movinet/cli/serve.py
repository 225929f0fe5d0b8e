"""The command serve."""

from collections.abc import Sequence
from pathlib import Path

from movinet import __version__
from movinet.cli.app import check_threads
from movinet.cli.console import err, log_as_lines
from movinet.errors import needs_extra
from movinet.runtime.engine import Precision
from movinet.runtime.factory import EngineKind


def serve(
    *,
    config: Path | None = None,
    host: str | None = None,
    port: int | None = None,
    model: Sequence[str] = (),
    labels: Path | None = None,
    max_streams: int | None = None,
    engine: EngineKind | None = None,
    precision: Precision | None = None,
    fast: bool = False,
    threads: int | None = None,
    files: Path | None = None,
    camera: Sequence[int] = (),
    source_host: Sequence[str] = (),
    name: Sequence[str] = (),
    origin: Sequence[str] = (),
    tls_certificate: Path | None = None,
    tls_key: Path | None = None,
    record: Path | None = None,
    before: float | None = None,
    after: float | None = None,
    keep_days: float | None = None,
    keep_gb: float | None = None,
    state: Path | None = None,
    new_tokens: bool = False,
    offline: bool = False,
) -> int:
    """Recognize what browsers, programs and cameras send, and show it on a page.

    Args:
        config: a YAML file with all settings; what is given here counts more.
        host: where to listen; beyond this machine only with tokens, which are made and shown at the first start.
        port: where to listen; 8765 by default, 0 for any that is free.
        model: names or files of stream networks that clients may choose among; the first is the default.
        labels: a file with one label a line, for a model that brings none.
        max_streams: of each model, sockets and sources together; 64 by default.
        engine: what runs networks: auto takes the quickest that is installed.
        precision: what the engine computes in.
        fast: take the quickest precision this processor has.
        threads: of the processor for each model.
        files: a folder whose videos may be sources.
        camera: numbers of this machine's cameras that may be sources.
        source_host: hosts that sources may be at: names, `*.example.com`, numbers, networks such as 192.168.1.0/24.
        name: by which this server is called, beside its numbers and localhost.
        origin: pages elsewhere that may use it, such as `https://example.org`.
        tls_certificate: a file in PEM format, with the chain; https together with --tls-key.
        tls_key: its key.
        record: a folder for clips around events of this server's sources, as the cameras sent them, with a .json beside
            each.
        before: seconds of a clip before its event; 5 by default.
        after: seconds of a clip after its event; 5 by default.
        keep_days: after which clips are deleted; 30 by default.
        keep_gb: gigabytes that clips may take, 10 by default; the oldest are deleted.
        state: the folder for tokens and sources; by default one of the user's.
        new_tokens: make new tokens for viewers and administrators; the old ones are void.
        offline: never download.
    """
    with needs_extra("serve"):
        import starlette
        import uvicorn
        import websockets

        del starlette, uvicorn, websockets
    from movinet.serve.run_server import Started, run
    from movinet.serve.settings import Settings, read_settings, with_clips, with_options

    check_threads(threads)
    given = {
        "host": host,
        "port": port,
        "models": tuple(model) or None,
        "labels": _text(labels),
        "max_streams": max_streams,
        "engine": engine,
        "precision": precision,
        "fast": fast or None,
        "threads": threads,
        "files": _text(files),
        "cameras": tuple(camera) or None,
        "source_hosts": tuple(source_host) or None,
        "names": tuple(name) or None,
        "origins": tuple(origin) or None,
        "tls_certificate": _text(tls_certificate),
        "tls_key": _text(tls_key),
        "state": _text(state),
        "offline": offline or None,
    }
    clips = {"folder": _text(record), "before": before, "after": after, "days": keep_days, "gigabytes": keep_gb}
    settings = with_options(Settings() if config is None else read_settings(config), given)
    settings = with_clips(settings, clips)

    def told(started: Started) -> None:
        for role, token in started.tokens.items():
            err.print(f"{role}'s token, shown this once: {token}", style="bold")
        where = "" if started.needs_token else ", for this machine alone"
        if settings.is_everywhere:
            where = ", and at every other address of this machine"
        err.print(f"movinet serves at {started.address}{where}")
        if not settings.is_local and not settings.secure:
            err.print("browsers elsewhere give a page their camera over https alone: --tls-certificate and --tls-key")

    with log_as_lines():
        run(settings, version=__version__, new_tokens=new_tokens, on_started=told)
    return 0


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
