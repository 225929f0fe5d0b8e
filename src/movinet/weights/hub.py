"""Weights on the Hugging Face Hub: `hf-hub:owner/name` wherever a name or a file goes, and publishing one's own.

Through huggingface_hub (the extra `hub`), which keeps a cache of its own (`HF_HOME`), knows who is logged in
(`hf auth login`, `HF_TOKEN`), and asks another server where `HF_ENDPOINT` names one.
"""

import io
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from movinet.errors import MovinetError, WeightsError, brief, needs_extra
from movinet.weights.model_card import model_card
from movinet.weights.registry import HUB
from movinet.weights.safetensors_file import save_weights
from movinet.weights.weights import Weights

if TYPE_CHECKING:
    from movinet.weights.download import Progress

FILE = "model.safetensors"
_PLACE = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+?))?(?::([\w./ +-]+))?")


@dataclass(frozen=True)
class HubFile:
    """A file of a repository.

    Args:
        repo: `owner/name`.
        revision: a branch, tag or commit; None for `main`.
        file: its path there.
    """

    repo: str
    revision: str | None
    file: str


def parse_hub_name(source: str) -> HubFile:
    """What `hf-hub:owner/name`, `hf-hub:owner/name@revision` and `hf-hub:owner/name:file.tflite` mean.

    Raises:
        WeightsError: it is none of these.
    """
    found = _PLACE.fullmatch(source.removeprefix(HUB))
    if found is None or ".." in (found[3] or "").split("/"):
        raise WeightsError(
            f"{brief(source)}: want hf-hub:owner/name, if need be with @revision and :file (weights are in {FILE})"
        )
    return HubFile(found[1], found[2], found[3] or FILE)


def hub_file(source: str, offline: bool = False, progress: "Progress | None" = None) -> Path:
    """The local path of a file of the Hub, downloaded if it is not in the cache, or is an older one.

    Args:
        source: see `parse_hub_name`.
        offline: take what is in the cache.
        progress: called with the bytes so far and in all while downloading.

    Raises:
        WeightsError: there is no such repository, revision or file, it is not for everybody, or cannot be had now.
        MissingExtra: huggingface_hub is not installed.
    """
    wanted = parse_hub_name(source)
    with needs_extra("hub"):
        from huggingface_hub import hf_hub_download
    with _explained(source, wanted.repo, offline):
        return Path(
            hf_hub_download(
                wanted.repo,
                wanted.file,
                revision=wanted.revision,
                local_files_only=offline,
                endpoint=_endpoint(),
                library_name="movinet",
                tqdm_class=_bar(progress),
            )
        )


def push(weights: Weights, repo: str, *, private: bool = False, message: str = "") -> str:
    """Publish weights as a repository of the Hub: the file, and a card that says what is known of them.

    Whoever may read it loads it as `hf-hub:owner/name`. A repository that is there gets a new commit, and keeps its
    card if it has one.

    Args:
        weights: with the labels and all that `info` knows.
        repo: `owner/name`.
        private: a new repository is for its owner only.
        message: of the commit.

    Returns:
        The repository's address.

    Raises:
        WeightsError: nobody is logged in, or the server refuses.
        MissingExtra: huggingface_hub is not installed.
    """
    wanted = parse_hub_name(HUB + repo)
    if wanted != HubFile(repo, None, FILE):
        raise WeightsError(f"{brief(repo)}: want owner/name, where to publish")
    with needs_extra("hub"):
        from huggingface_hub import CommitOperationAdd, HfApi
    api = HfApi(endpoint=_endpoint(), library_name="movinet")
    with tempfile.TemporaryDirectory(prefix="movinet-") as folder, _explained(repo, repo, offline=False):
        path = Path(folder, FILE)
        save_weights(path, weights.arrays, weights.info)
        address = str(api.create_repo(repo, private=private, exist_ok=True))
        operations = [CommitOperationAdd(FILE, path)]
        if not api.file_exists(repo, "README.md"):
            card = model_card(weights.info, repo)
            operations.append(CommitOperationAdd("README.md", card.encode()))
        api.create_commit(repo, operations, commit_message=message or f"{weights.info.name}, by movinet")
    return address


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


@contextmanager
def _explained(source: str, repo: str, offline: bool) -> Iterator[None]:
    """What went wrong, in words that say what to do."""
    from huggingface_hub import errors

    try:
        yield
    except errors.LocalEntryNotFoundError as error:
        why = "offline, and not in the cache" if offline else "not in the cache, and the Hub cannot be reached"
        raise WeightsError(
            f"{source}: {why}; load it once with a network, or name another server in HF_ENDPOINT"
        ) from (error)
    except errors.GatedRepoError as error:
        raise WeightsError(
            f"{source}: is for those who accept its terms: do so at huggingface.co/{repo}, and `hf auth login`"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise WeightsError(
            f"{source}: there is no such repository, or it is not yours to see: `hf auth login` says who you are"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise WeightsError(f"{source}: the repository has no such revision") from error
    except errors.EntryNotFoundError as error:
        raise WeightsError(f"{source}: the repository has no such file; hf-hub:{repo}:FILE names another") from error
    except errors.LocalTokenNotFoundError as error:
        raise WeightsError(f"{source}: nobody is logged in: `hf auth login`, or HF_TOKEN in the environment") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "an error"
        hint = "; `hf auth login` says who you are" if status in (401, 403) else ""
        raise WeightsError(f"{source}: the Hub answers {status}{hint}") from error
    except MovinetError:
        raise
    except Exception as error:  # of the transport, which is another with every generation of the library
        raise WeightsError(f"{source}: {str(error).partition(chr(10))[0]}") from error


def _bar(progress: "Progress | None") -> Any:
    """In place of the library's own bar, which writes to stderr whoever reads it."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    def begin(self: Any, *args: Any, **options: Any) -> None:
        tqdm.__init__(self, *args, **{**options, "file": io.StringIO()})

    def update(self: Any, n: float = 1) -> None:
        tqdm.update(self, n)
        if progress is not None:
            progress(int(self.n), int(self.total) if self.total else None)

    return type("Told", (tqdm,), {"__init__": begin, "update": update})
