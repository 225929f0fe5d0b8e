"""From a video file to labels: processor time of the whole `movinet classify`, beside FFmpeg decoding the same file.

    python benchmarks/file_to_labels.py
    python benchmarks/file_to_labels.py --files 720p,1080p --rounds 5 --folder /tmp/videos --json
    python benchmarks/file_to_labels.py --before OTHER_CHECKOUT/src

Videos of 100 seconds are made by FFmpeg, with its encoders' defaults, of real clips where MOVINET_SHARED has them and
of a slow zoom into the Mandelbrot set. Each is classified by A0 (float32, one thread, 5 frames a second, random
weights) in a process of its own, in turns with `ffmpeg -threads 1 -i FILE -f null -`, the same with `-skip_frame
noref`, and two loops around PyAV that do nothing with the frames: one decodes all, the other leaves out the frames that
nobody wants and nothing refers to. What the second takes of the first's time is the file's *skip ratio*.

Figures are medians of processor time, user and system, of all the process's threads. Promises: for 720p25 in H.264 at
most the skip ratio and 0.32 of FFmpeg's time for decoding all, and at most 1.35 where no frame may be left out; at most
160 MB. Exits with 1 where one is broken. Version 0.1 took 2.2 times FFmpeg's time, and 598 MB.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

SECONDS = 100
OVERHEAD, UNSKIPPED, MEMORY_MB = 0.32, 1.35, 160
SHARED = Path(os.environ.get("MOVINET_SHARED", Path(__file__).parents[2] / "shared"))
ZOOM = "mandelbrot=size=320x180:rate=25:end_scale=0.001:end_pts=2400:maxiter=200"

LOOP = """
import sys, av
with av.open(sys.argv[1]) as container:
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    packets = list(container.demux(stream))
    stamps = sorted(packet.pts for packet in packets if packet.pts is not None)
    wanted = {}  # the last frame at each fifth of a second
    for pts in stamps:
        wanted[-int((stamps[0] - pts) * stream.time_base * 5 // 1)] = pts
    wanted = set(wanted.values())
    decoded = 0
    for packet in packets:
        if len(sys.argv) > 2:
            stream.codec_context.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
        for frame in packet.decode():
            decoded += 1
print(decoded)
"""
WEIGHTS = """
import sys
from movinet.arch.zoo import network_spec
from movinet.weights.safetensors_file import save_weights
from movinet.weights.weights import Weights
weights = Weights.untrained(network_spec("movinet_a0_stream"))
save_weights(sys.argv[1], weights.arrays, weights.info)
"""


@dataclass(frozen=True)
class Video:
    """A file to be made."""

    name: str
    size: tuple[int, int]  # width, height
    real: bool = True  # content: clips, or the zoom
    encoder: tuple[str, ...] = ("libx264",)
    skips: bool = True  # the promise is the one for files with frames that nothing refers to
    is_promised: bool = False


VIDEOS = (
    Video("720p", (1280, 720), is_promised=True),
    Video("720p-zoom", (1280, 720), real=False, is_promised=True),
    Video("720p-all-referred-to", (1280, 720), encoder=("libx264", "-bf", "0"), skips=False, is_promised=True),
    Video("1080p", (1920, 1080)),
    Video("720p-hevc", (1280, 720), encoder=("libx265", "-x265-params", "log-level=error")),
    Video("340x256", (340, 256)),
)


def make(video: Video, folder: Path) -> Path:
    """The file, unless an earlier run has made it; what is encoded is repeated, packet for packet."""
    path = folder / f"{video.name}.mp4"
    if path.exists():
        return path
    width, height = video.size
    fit = f"scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height},setsar=1,fps=25"
    clips = sorted((SHARED / "clips").glob("*.*")) if video.real else []
    if clips:
        sources = [option for clip in clips for option in ("-i", str(clip))]
        parts = "".join(f"[{i}:v]{fit},format=yuv420p[v{i}];" for i in range(len(clips)))
        labels = "".join(f"[v{i}]" for i in range(len(clips)))
        content = [*sources, "-filter_complex", f"{parts}{labels}concat=n={len(clips)}"]
    else:
        content = ["-f", "lavfi", "-i", f"{ZOOM},{fit}", "-t", "25", "-pix_fmt", "yuv420p"]
    once, part = folder / f"{video.name}.once.mp4", folder / f"{video.name}.part.mp4"
    ffmpeg = ["ffmpeg", "-y", "-v", "error", "-nostdin"]
    print(f"making {path}", file=sys.stderr, flush=True)
    subprocess.run([*ffmpeg, *content, "-an", "-c:v", *video.encoder, str(once)], check=True)
    times = str(int(SECONDS / duration(once)))
    copied = ["-stream_loop", times, "-i", str(once), "-t", str(SECONDS), "-c", "copy", str(part)]
    subprocess.run([*ffmpeg, *copied], check=True)
    once.unlink()
    return part.rename(path)


def make_weights(path: Path, environment: Mapping[str, str]) -> None:
    """A0 with random weights, in the form of the movinet that runs there."""
    subprocess.run([sys.executable, "-c", WEIGHTS, str(path)], check=True, env=environment)


def probed(path: Path, entries: str) -> list[str]:
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", entries, "-of", "csv=p=0"]
    return subprocess.run([*command, str(path)], check=True, capture_output=True, text=True).stdout.split()


def duration(path: Path) -> float:
    return float(probed(path, "format=duration")[0])


@dataclass(frozen=True)
class Spent:
    """What a process took."""

    cpu: float  # seconds of user and system time
    wall: float
    peak_mb: float
    said: str  # on stdout


def spent(command: Sequence[str], environment: Mapping[str, str]) -> Spent:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed.
    """
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as messages, tempfile.TemporaryFile() as answers:
        process = subprocess.Popen(command, env=environment, stdout=answers, stderr=messages)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            messages.seek(0)
            raise RuntimeError(f"{' '.join(command)} exited with {process.returncode}: {messages.read().decode()}")
        answers.seek(0)
        said = answers.read().decode()
    # In kilobytes, but in bytes on a Mac. A process begins as a copy of this one, which is smaller than any of them.
    peak = usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    return Spent(usage.ru_utime + usage.ru_stime, time.perf_counter() - begin, peak, said)


@dataclass(frozen=True)
class Result:
    """What came of a file; processor times are seconds, medians."""

    video: str
    seconds: float
    mbit: float  # a second
    cpu: Mapping[str, float]
    ratio: float  # classify to FFmpeg
    skip_ratio: float
    decoded: float  # share of the frames, where the others are skipped
    noref_ratio: float  # FFmpeg's, with `-skip_frame noref`
    limit: float | None
    peak_mb: float
    hours_an_hour: float  # of video, on one core
    load: float  # of the machine, over the last minute

    @property
    def broken(self) -> list[str]:
        """Promises that do not hold."""
        promises = []
        if self.limit is not None and self.ratio > self.limit:
            promises.append(f"{self.video}: {self.ratio:.2f} of FFmpeg's time, {self.limit:.2f} were promised")
        if self.limit is not None and self.peak_mb > MEMORY_MB:
            promises.append(f"{self.video}: {self.peak_mb:.0f} MB, {MEMORY_MB} were promised")
        return promises


def measure(video: Video, path: Path, folder: Path, rounds: int, before: Path | None) -> Result:
    """All contenders, in turns."""
    ffmpeg = ["ffmpeg", "-v", "error", "-nostdin", "-threads", "1"]
    end = ["-i", str(path), "-f", "null", "-"]
    ours = [sys.executable, "-m", "movinet", "classify", str(path), "--model", str(folder / "a0.safetensors")]
    ours += ["--threads", "1", "--json"]
    environment = dict(os.environ) | {"MOVINET_CACHE": str(folder / "cache")}
    # As an installed package has them: where Python may not write beside the sources, it would compile them every time.
    environment |= {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
    contenders = {
        "ffmpeg": (ffmpeg + end, environment),
        "ffmpeg noref": ([*ffmpeg, "-skip_frame", "noref", *end], environment),
        "pyav": ([sys.executable, "-c", LOOP, str(path)], environment),
        "pyav wanted": ([sys.executable, "-c", LOOP, str(path), "wanted"], environment),
        "classify": (ours, environment),
    }
    if before is not None:
        other = {"PYTHONPATH": str(before), "MOVINET_CACHE": str(folder / "cache-before")}
        theirs = [str(folder / "before.safetensors") if part.endswith("a0.safetensors") else part for part in ours]
        make_weights(folder / "before.safetensors", environment | other)
        contenders["before"] = (theirs, environment | other)
    for name in contenders.keys() & {"classify", "before"}:
        spent(*contenders[name])  # the lowered file is cached
    found: dict[str, list[Spent]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            found[name].append(spent(*contender))
    cpu = {name: statistics.median(one.cpu for one in runs) for name, runs in found.items()}
    length, skip_ratio = duration(path), cpu["pyav wanted"] / cpu["pyav"]
    limit = (skip_ratio + OVERHEAD if video.skips else UNSKIPPED) if video.is_promised else None
    return Result(
        video.name,
        length,
        8e-6 * path.stat().st_size / length,
        cpu,
        cpu["classify"] / cpu["ffmpeg"],
        skip_ratio,
        int(found["pyav wanted"][0].said) / int(found["pyav"][0].said),
        cpu["ffmpeg noref"] / cpu["ffmpeg"],
        limit,
        max(one.peak_mb for one in found["classify"]),
        length / cpu["classify"],
        os.getloadavg()[0],
    )


def first_start(path: Path, folder: Path) -> Spent:
    """A start that has to lower the network, as the first one does."""
    command = [sys.executable, "-m", "movinet", "classify", str(path), "--model", str(folder / "a0.safetensors")]
    return spent([*command, "--threads", "1", "--end", "1", "--no-cache"], os.environ)


def show(result: Result) -> None:
    limit = "" if result.limit is None else f", limit {result.limit:.2f}"
    print(f"{result.video}: {result.seconds:.0f} s, {result.mbit:.2f} Mbit/s, load {result.load:.1f}")
    for name, seconds in result.cpu.items():
        print(f"  {name:14} {seconds:6.2f} s  {seconds / result.cpu['ffmpeg']:5.2f}")
    noref = f"ffmpeg noref: {result.noref_ratio:.2f}"
    print(f"  skip ratio {result.skip_ratio:.2f}, of the frames {result.decoded:.2f} ({noref}){limit}")
    print(f"  {result.peak_mb:.0f} MB at most, {result.hours_an_hour:.1f} hours of video an hour a core", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", default=",".join(video.name for video in VIDEOS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep the videos there, for the next time")
    parser.add_argument("--before", type=Path, help="src of another checkout, to run beside this one")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options = parser.parse_args()
    for program in ("ffmpeg", "ffprobe"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not installed")
    chosen = [video for video in VIDEOS if video.name in options.files.split(",")]
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        make_weights(folder / "a0.safetensors", os.environ)
        for video in chosen:
            results.append(measure(video, make(video, folder), folder, options.rounds, options.before))
            if not options.json:
                show(results[-1])
        first = first_start(folder / f"{chosen[0].name}.mp4", folder)
    broken = [promise for result in results for promise in result.broken]
    if options.json:
        rows = [asdict(result) for result in results]
        print(json.dumps({"files": rows, "first_start": asdict(first), "broken": broken}, indent=2))
    else:
        print("version 0.1: 2.2 of FFmpeg's time for 720p25 in H.264, and 598 MB")
        print(f"a first start, which lowers the network: {first.cpu:.2f} s, {first.peak_mb:.0f} MB")
    if broken:
        sys.exit("\n".join(broken))


if __name__ == "__main__":
    main()
