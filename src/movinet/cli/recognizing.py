"""What commands that recognize share: the network as the options say, and the source."""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from movinet.cli.app import check_threads
from movinet.cli.console import err, progress_bar, warn
from movinet.cores import limit_torch
from movinet.errors import MovinetError
from movinet.events import what_is_promised
from movinet.freed_memory import keep_freed_memory
from movinet.recognizer import Recognizer
from movinet.runtime.engine import Engine, Mode, Precision, live_memory
from movinet.runtime.exported import ExportedNetwork
from movinet.runtime.factory import EngineKind
from movinet.runtime.seat import Network
from movinet.video.locations import Source, Track, is_address
from movinet.video.net.credentials import Credentials, open_to_others, read_credentials, with_login
from movinet.video.net.login import Address
from movinet.weights.cache_folder import default_cache_dir
from movinet.weights.info import WeightsInfo

if TYPE_CHECKING:
    from movinet.runtime.pool import StreamPool


def read_logins(path: Path | None) -> Credentials:
    """What `--credentials` has; warns of what others can read."""
    if path is None:
        return Credentials()
    logins = read_credentials(path)
    if words := open_to_others(path):
        warn(words)
    return logins


def source_of(video: str, stream: int | None, logins: Credentials, aspect: Fraction | None = None) -> Source:
    """What to open, with its login."""
    opened = with_login(Address.of(video), None, logins) if is_address(video) else video
    return opened if stream is None and aspect is None else Track(opened, stream, aspect)


def load_recognizer(
    model: str,
    labels: Path | None,
    offline: bool,
    engine: EngineKind,
    precision: Mode,
    device: str,
    threads: int | None,
    memory: float | None,
    cache: bool = True,
) -> Recognizer:
    check_threads(threads)
    with progress_bar("downloading") as progress:
        recognizer = Recognizer.load(
            model,
            labels=labels,
            offline=offline,
            engine=engine,
            precision=precision,
            # On a small frame a second thread gains a tenth at best, and on a busy machine threads wait for each other.
            threads=threads or 1,
            device=device,
            cache=cache,
            progress=progress,
        )
    if memory is not None:
        recognizer.memory = live_memory(recognizer.engine, recognizer.info, memory)
    if precision == "fast" and recognizer.info.spec.causal:
        _tell_mode(recognizer.network, recognizer.engine)
    _tell_labels(recognizer.network)
    if not recognizer.info.spec.causal:
        keep_freed_memory()
    if threads is not None or recognizer.info.spec.causal:
        limit_torch(threads or 1)
    return recognizer


def load_pool(
    model: str,
    labels: str | Path | None,
    offline: bool,
    engine: EngineKind,
    precision: Mode,
    device: str,
    threads: int | None,
    cache: bool,
    streams: int,
) -> "StreamPool":
    """A pool for so many live streams of one network, all of which are there from the beginning."""
    from movinet.runtime.pool import StreamPool

    check_threads(threads)
    with progress_bar("downloading") as progress:
        pool = StreamPool.load(
            model,
            max_streams=streams,
            engine=engine,
            precision=precision,
            threads=threads or 1,
            device=device,
            cache=cache,
            labels=labels,
            offline=offline,
            progress=progress,
        )
    if precision == "fast":
        _tell_mode(pool.network, pool.engine)
    _tell_labels(pool.network)
    limit_torch(threads or 1)
    return pool


def _tell_labels(network: Network) -> None:
    if network.info.labels is None:
        warn(f"{network.info.name} brings no labels, so classes go by number: --labels FILE names them, one a line")


def tell_default(info: WeightsInfo) -> None:
    """Whoever names no network learns what this one knows, and which knows everyday actions: once on a machine."""
    told = None
    with suppress(MovinetError, OSError):
        told = default_cache_dir() / f"told.{info.name}"
        if told.exists():
            return
    some = ", ".join((info.labels or ())[:4])
    err.print(
        f"no --model: {info.name} knows {info.spec.num_classes} air gestures ({some}, …); for the 600 everyday actions "
        "of Kinetics: --model movinet_a2_stream.k600 (downloaded once; `movinet models` lists more)",
        style="dim",
    )
    if told is not None:
        with suppress(OSError):
            told.parent.mkdir(parents=True, exist_ok=True)
            told.touch()


def tell_promise(info: WeightsInfo, memory: float | None, precision: str) -> None:
    """What does not hold of a network's thresholds, if anything."""
    if words := what_is_promised(info, memory, precision):
        warn(words)


def mode_of(precision: Precision, fast: bool) -> Mode:
    if fast and precision != "float32":
        raise MovinetError(f"--fast chooses the precision by itself: leave --precision {precision} out")
    return "fast" if fast else precision


def _tell_mode(network: Network, engine: Engine[Any]) -> None:
    """What --fast came to, and what it costs."""
    info = network.info
    if isinstance(network, ExportedNetwork):
        err.print(f"fast: {info.name} runs in what it was exported in; the weights leave a choice")
        return
    what = f"{engine.kind} in {engine.precision}"
    if engine.precision == "float32":
        err.print(f"fast: {what}; this processor has nothing quicker that is installed")
    elif engine.precision in info.agreement:
        err.print(f"fast: {what}, which labels {info.agreement[engine.precision]:.1f} % of frames as float32 does")
    else:
        err.print(f"fast: {what}; how often it agrees with float32 was not measured for {info.name}")
