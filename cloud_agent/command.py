"""``recserve cloud``: a cloud agent as a command."""

from __future__ import annotations

from cloud_agent.app import run
from shared.command import agent_command
from shared.settings import AgentSettings

command = agent_command("cloud", AgentSettings, run, "Run a cloud agent until SIGTERM or Ctrl-C.")
