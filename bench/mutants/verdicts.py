"""What is known of every mutant, a line per trial, so that a run goes on where the last one stopped."""

import json
from collections import defaultdict
from pathlib import Path

from bench.mutants.sites import Mutant
from bench.mutants.suite import Stage
from bench.mutants.trial import Verdict


class Verdicts:
    """``trust_kills``: what another version of a stage noticed counts still. True where the suite has only grown."""

    def __init__(self, path: Path, *, trust_kills: bool) -> None:
        self._path = path
        self._trust_kills = trust_kills
        self._known: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
        if path.exists():
            for line in path.read_text().splitlines():
                key, stage, digest, noticed = json.loads(line)
                self._known[key][stage] = (digest, noticed)

    def get(self, mutant: Mutant, stage: Stage) -> str | None:
        """What the stage noticed; empty when nothing, None when it was not asked."""
        digest, noticed = self._known.get(mutant.key, {}).get(stage.name, ("", None))
        current = digest == stage.digest or (bool(noticed) and self._trust_kills)
        return noticed if current else None

    def was_tried(self, mutant: Mutant) -> bool:
        """Whether any version of any stage was asked about it."""
        return bool(self._known.get(mutant.key))

    def add(self, mutant: Mutant, stage: Stage, verdict: Verdict) -> None:
        self._known[mutant.key][stage.name] = (stage.digest, verdict.noticed)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as lines:
            lines.write(json.dumps([mutant.key, stage.name, stage.digest, verdict.noticed]) + "\n")
