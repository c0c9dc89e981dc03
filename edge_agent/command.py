"""``recserve edge``: an edge agent as a command."""

from __future__ import annotations

from edge_agent.app import run
from shared.agent.command import agent_command
from shared.agent.settings import AgentSettings

command = agent_command("edge", AgentSettings, run, "Run an edge agent until SIGTERM or Ctrl-C.")
