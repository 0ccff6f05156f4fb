"""The strategies by name. A new one is a file beside these, a word in ``model.Strategy`` and a line here."""

from gpupool.planning.model import Strategy
from gpupool.planning.strategies import dag, single, sweep
from gpupool.planning.strategies.base import StrategyRules

STRATEGIES: dict[Strategy, StrategyRules] = {
    Strategy.SINGLE: single.RULES,
    Strategy.SWEEP: sweep.RULES,
    Strategy.DAG: dag.RULES,
}

__all__ = ["STRATEGIES", "StrategyRules"]
