"""Who does the work: the Agent protocol, an OpenAI-compatible upstream, and a scripted agent."""

from __future__ import annotations

from core.agents.agent import Agent, AgentRequest, Output
from core.agents.answer import Answer
from core.agents.directory import Directory

__all__ = ["Agent", "AgentRequest", "Answer", "Directory", "Output"]
