"""``recserve cloud``: a cloud agent as a command."""

from __future__ import annotations

from cloud_agent.app import run
from shared.agent.command import agent_command
from shared.agent.settings import AgentSettings

command = agent_command("cloud", AgentSettings, run, "Run a cloud agent until SIGTERM or Ctrl-C.")
