"""The command similar."""

from pathlib import Path

from movinet.archive.nearest import MANY, clip_vectors, count_vectors, nearest, read_settings
from movinet.cli.app import Model, at_least_one, seconds
from movinet.cli.console import out, print_json, warn
from movinet.cli.recognizing import load_recognizer
from movinet.errors import MovinetError
from movinet.runtime.engine import live_memory
from movinet.runtime.exported import answers_hash
from movinet.runtime.factory import EngineKind


def similar(
    results: Path,
    clip: str,
    *,
    model: Model = None,
    at: float | None = None,
    topk: int = 10,
    apart: float | None = None,
    engine: EngineKind = "auto",
    offline: bool = False,
    json: bool = False,
) -> int:
    """Find the moments of an archive that look most like a clip.

    Args:
        results: a folder that `movinet scan --embeddings` wrote.
        clip: a video of what is looked for.
        model: the network that the archive was scanned with, where it has moved since.
        at: look for this second of the clip alone; by default for moments as long as the clip.
        topk: how many moments.
        apart: seconds of a video within which only the best moment is shown; by default the length of the clip.
        engine: what runs the network.
        offline: never download.
        json: one JSON object a line.
    """
    at_least_one("--topk", topk)
    for name, value in (("--at", at), ("--apart", apart)):
        seconds(name, value)
    settings = read_settings(results)
    memory = settings["memory"]
    source = model or settings["source"]
    recognizer = load_recognizer(source, None, offline, engine, settings["precision"], "cpu", None, None)
    network = recognizer.network
    if network.hash != settings["hash"] or settings.get("network_hash") not in (None, answers_hash(network)):
        raise MovinetError(f"{source}: not the network that {results} was made with, which was {settings['model']}")
    recognizer.memory = live_memory(recognizer.engine, recognizer.info, memory or 0.0)
    vectors = clip_vectors(recognizer, clip, memory)
    if at is not None:
        if at >= len(vectors):
            raise MovinetError(f"--at {at:g}: the clip has {len(vectors)} seconds")
        vectors = vectors[int(at) : int(at) + 1]
    if (count := count_vectors(results)) > MANY:
        warn(
            f"{count:,} vectors are all compared, which takes minutes: a store with an index reads "
            f"{results}/embeddings/*.parquet as it is, such as LanceDB, Qdrant or FAISS (inner product of unit vectors)"
        )
    for moment in nearest(results, vectors, topk, max(float(len(vectors)), 1.0) if apart is None else apart):
        if json:
            print_json({"path": moment.path, "start": moment.start, "cosine": round(moment.cosine, 6)})
        else:
            out.print(f"{moment.cosine:.4f}  {moment.start:8.0f} s  {moment.path}")
    return 0
