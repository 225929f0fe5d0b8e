"""stub"""

from pathlib import Path

from movinet.evaluate.evaluation_report import Circumstances
from movinet.evaluate.evaluation_run import Outcome
from movinet.evaluate.score_figures import Figures


def check_report(path: Path) -> None: ...
def write_report(path: Path, outcome: Outcome, figures: Figures, how: Circumstances) -> None: ...
