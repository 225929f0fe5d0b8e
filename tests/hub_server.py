"""A Hugging Face Hub of this machine's: repositories in memory, behind the few calls of loading and publishing."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

RESOLVE = re.compile(r"/([\w.-]+/[\w.-]+)/resolve/([^/]+)/([^?]+)")
TOKEN = "hf_secret"


@dataclass
class Hub:
    """What is there, and what was asked for.

    Args:
        url: Of the server.
        repos: By name, the files of each.
        private: Repositories that only those with the token see.
        calls: Method and path of every request.
    """

    url: str
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)  # large files on their way, by hash

    def commit(self, repo: str) -> str:
        """Another with every change."""
        digest = hashlib.sha1()
        for name, data in sorted(self.repos[repo].items()):
            digest.update(name.encode() + hashlib.sha1(data).digest())
        return digest.hexdigest()


@contextmanager
def hub() -> Iterator[Hub]:
    """A running server; `HF_ENDPOINT` should name its `url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_call(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = unquote(self.path)
            state.calls.append(f"{self.command} {path}")
            known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            if found := RESOLVE.fullmatch(path.partition("?")[0]):
                return self.resolve(*found.groups(), known)
            if path == "/api/repos/create" and not known:
                return self.answer(401, {"error": "Invalid username or password."})
            if path == "/api/repos/create":
                wanted = json.loads(body)
                name = f"{wanted['organization']}/{wanted['name']}" if wanted.get("organization") else wanted["name"]
                there = name in state.repos
                state.repos.setdefault(name, {})
                if wanted.get("private") or wanted.get("visibility") == "private":
                    state.private.add(name)
                return self.answer(
                    409 if there else 200, {"url": f"{state.url}/{name}", "error": "You already have it"}
                )
            if path == "/api/validate-yaml":  # what stands before a card
                assert json.loads(body)["content"].startswith("---\n")
                return self.answer(200, {"errors": [], "warnings": []})
            if found := re.fullmatch(r"/api/models/([\w.-]+/[\w.-]+)/preupload/main", path):
                files = json.loads(body)["files"]
                modes = [
                    {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith(".safetensors") else "regular",
                     "shouldIgnore": False, "oid": None}
                    for f in files
                ]  # fmt: skip
                return self.answer(200, {"files": modes})
            if path.endswith(".git/info/lfs/objects/batch"):
                objects = [
                    {"oid": o["oid"], "size": o["size"], "actions": {"upload": {"href": f"{state.url}/lfs/{o['oid']}"}}}
                    for o in json.loads(body)["objects"]
                ]
                return self.answer(200, {"transfer": "basic", "objects": objects})
            if found := re.fullmatch(r"/lfs/(\w+)", path):
                assert hashlib.sha256(body).hexdigest() == found[1]
                state.uploads[found[1]] = body
                return self.answer(200, {})
            if found := re.fullmatch(r"/api/models/([\w.-]+/[\w.-]+)/commit/main", path):
                for line in body.splitlines():
                    entry = json.loads(line)
                    if entry["key"] == "file":
                        data = base64.b64decode(entry["value"]["content"])
                        state.repos[found[1]][entry["value"]["path"]] = data
                    elif entry["key"] == "lfsFile":
                        state.repos[found[1]][entry["value"]["path"]] = state.uploads[entry["value"]["oid"]]
                commit = state.commit(found[1])
                address = f"{state.url}/{found[1]}/commit/{commit}"
                return self.answer(200, {"commitUrl": address, "commitOid": commit, "pullRequestUrl": None})
            found = re.fullmatch(r"/api/models/([\w.-]+/[\w.-]+)(/revision/\w+)?", path)
            if found and found[1] in state.repos:
                return self.answer(200, {"id": found[1], "modelId": found[1], "sha": state.commit(found[1])})
            return self.answer(404, {"error": "no such call"})

        do_GET = do_HEAD = do_POST = do_PUT = handle_call

        def resolve(self, repo: str, revision: str, name: str, known: bool) -> None:
            if repo not in state.repos or (repo in state.private and not known):
                return self.answer(401 if not known else 404, {}, {"X-Error-Code": "RepoNotFound"})
            if revision not in ("main", state.commit(repo)):
                return self.answer(404, {}, {"X-Error-Code": "RevisionNotFound"})
            data = state.repos[repo].get(name)
            commit = {"X-Repo-Commit": state.commit(repo)}
            if data is None:
                return self.answer(404, {}, {"X-Error-Code": "EntryNotFound", **commit})
            tag = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Linked-Size": str(len(data)), **commit}
            return self.give(200, data, tag)

        def answer(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
            self.give(status, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})

        def give(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body)), "Connection": "close"}.items():
                self.send_header(key, value)
            self.end_headers()
            self.close_connection = True
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        state = Hub(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield state
        finally:
            server.shutdown()
