"""Who else is told of server-side sources: webhooks and a broker, as the server's settings say."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from movinet.errors import MovinetError
from movinet.live.actions import Worker
from movinet.live.report import Report, Seen
from movinet.live.webhook import Webhook
from movinet.serve.mqtt import Mqtt
from movinet.serve.settings import Hook, Settings
from movinet.video.net.credentials import read_password


@dataclass(frozen=True)
class Told:
    """What is called with news of sources; nothing here waits.

    Args:
        report: with every report, by the sources' threads.
        changed: with a source's name, and whether it is there.
        dropped: says how many messages were left out.
    """

    report: Callable[[Report], None]
    changed: Callable[[str, bool], None]
    dropped: Callable[[], int]


@contextmanager
def open_telling(settings: Settings, version: str, environment: Mapping[str, str] = os.environ) -> Iterator[Told]:
    """Make what tells, and in the end give it a moment for what waits.

    Raises:
        MovinetError: an address is none, a secret is nowhere, or the extra `mqtt` is missing.
    """
    hooks = [_webhook(hook, environment) for hook in settings.webhooks]
    with ExitStack() as kept:
        workers = [kept.enter_context(Worker(hook)) for hook in hooks]
        broker = None if settings.mqtt is None else kept.enter_context(Mqtt(settings.mqtt, version, environment))

        def report(news: Report) -> None:
            if not isinstance(news.what, Seen):
                for worker in workers:
                    worker.tell(news)
            if broker is not None:
                broker.tell(news)

        def changed(name: str, there: bool) -> None:
            if broker is not None:
                broker.changed(name, there)

        def dropped() -> int:
            return sum(worker.done.dropped for worker in workers) + (0 if broker is None else broker.dropped)

        yield Told(report, changed, dropped)


def _webhook(hook: Hook, environment: Mapping[str, str]) -> Webhook:
    webhook = Webhook.of(hook.address, environment={})
    secret: str | None = None
    if hook.secret_file is not None:
        secret = read_password(hook.secret_file)
    elif hook.secret_env is not None:
        secret = environment.get(hook.secret_env)
        if not secret:
            raise MovinetError(f"webhooks: the environment has no {hook.secret_env}, where the secret is")
    return webhook if secret is None else replace(webhook, secret=secret.encode())
