"""Which agent answers for which model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.agents.agent import Agent
from core.clock import SystemClock
from core.errors import ModelNotFound
from core.settings import Upstream as UpstreamSettings


class Directory:
    """The agents of a core by model. An upstream that lists no models takes every model that no other lists."""

    def __init__(self, agents: Sequence[tuple[str, Agent, Sequence[str]]]) -> None:
        """`agents` are triples of name, agent, and the models it serves."""
        self._agents = list(agents)
        self._by_model: dict[str, tuple[str, Agent]] = {}
        self._for_the_rest: tuple[str, Agent] | None = None
        for name, agent, models in agents:
            for model in models:
                self._by_model.setdefault(model, (name, agent))
            if not models and self._for_the_rest is None:
                self._for_the_rest = (name, agent)

    @classmethod
    def of_upstreams(
        cls, upstreams: Sequence[UpstreamSettings], api_keys: Mapping[str, str], *, offered: bool = False
    ) -> Directory:
        """The agents that the settings name; `maitred/echo` beside what is only `offered`, or where there is none."""
        if offered or not upstreams:
            from core.agents.echo import ECHO_MODEL, Echo

            echo: list[tuple[str, Agent, Sequence[str]]] = [("maitred", Echo(SystemClock()), [ECHO_MODEL])]
        else:
            echo = []
        if not upstreams:
            return cls(echo)
        # its HTTP client costs 10 MB, which a house with agents of its own has no use for
        from core.agents.upstream import Upstream

        named = [(each.name, Upstream(each, api_keys.get(each.name)), each.models) for each in upstreams]
        return cls([*echo, *named])

    @property
    def models(self) -> list[tuple[str, str]]:
        """Every listed model with the name of its agent, in the order of the settings."""
        return [(model, name) for model, (name, _) in self._by_model.items()]

    def find(self, model: str) -> tuple[str, Agent]:
        """The name and agent that serve a model ("": none was chosen); raises ModelNotFound with what there is."""
        if not model:
            raise ModelNotFound(
                "no model is known for auto; name one under [[admission.models]], or list those of an upstream"
            )
        found = self._by_model.get(model) or self._for_the_rest
        if found is None:
            known = ", ".join(self._by_model) or "none; name one under [[upstreams]] in the settings"
            raise ModelNotFound(f"no upstream serves the model {model!r}; there are: {known}")
        return found

    async def aclose(self) -> None:
        """Close every agent."""
        for _, agent, _ in self._agents:
            await agent.aclose()
