"""The agent that a home machine runs: takes units from its queues, runs them in a sandbox, reports how they ended."""

AGENT_VERSION = "0.1.0"
