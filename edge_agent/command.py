"""``recserve edge``: an edge agent as a command."""

from __future__ import annotations

from edge_agent.app import run
from edge_agent.settings import EdgeSettings
from shared.agent.command import agent_command

command = agent_command("edge", EdgeSettings, run, "Run an edge agent until SIGTERM or Ctrl-C.")
