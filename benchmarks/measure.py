"""The measurements, each of the gateway beside the direct call, as rows of one table."""

import asyncio
import dataclasses
from collections.abc import Coroutine
from typing import Any, NamedTuple, TypeVar

from benchmarks.load import Api, Samples, Target, percentile, run_closed_loop, run_fixed_rate
from benchmarks.processes import CpuTime, House, cpu_s_of

CONNECTIONS = 16
# Whole calls are measured in rounds, one API after the other: a neighbour on the machine makes one round dearer by a
# fifth, and seldom all of them.
CALL_ROUNDS = 5
CALLS_S = 5.0
DIRECT_CALLS_S = 0.7
DIRECT_S = 3.0
STREAMS = 20
STREAM_EVENTS = 200
STREAM_INTERVAL_MS = 5
STREAMS_S = 6.0
RATE_PER_S = 50.0
RATE_S = 20.0
FIRST_BYTE_PER_S = 20.0
FIRST_BYTE_S = 10.0
FIRST_BYTE_EVENTS = 20
# The book-keeping behind the answer (receipts to Postgres) belongs to the calls: it is waited for and counted.
AFTERWORK_S = 2.0
MEBIBYTE = 1024 * 1024
APIS: tuple[Api, ...] = ("messages", "chat")
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `through` is the gateway's figure, `direct` the same without it."""

    name: str
    unit: str
    through: float
    direct: float | None = None
    note: str = ""

    @property
    def added(self) -> float | None:
        return None if self.direct is None else self.through - self.direct

    @property
    def ratio(self) -> float | None:
        return self.through / self.direct if self.direct else None


class _Round(NamedTuple):
    through: Samples
    used: CpuTime
    direct: Samples
    direct_us: float

    @property
    def call_us(self) -> float:
        return sum(_parts_us(self.used, self.through.count))


class Bench:
    """One gateway and one upstream, both warm or about to be."""

    def __init__(self, house: House, upstream_pid: int, through: Target, direct: Target) -> None:
        self._house = house
        self._upstream_pid = upstream_pid
        self._through = through
        self._direct = direct

    async def run(self) -> list[Row]:
        """Everything, in about two minutes."""
        await asyncio.sleep(2.0)
        idle_bytes = self._house.gateway_memory_bytes()
        idle_rows = await self._measure_idle()
        await self._warm_up()
        rows = [
            *await self._measure_calls(),
            *await self._measure_stream("messages", 0),
            *await self._measure_stream("chat", 0),
            *await self._measure_stream("messages", STREAM_INTERVAL_MS),
            *await self._measure_latency(),
            *await self._measure_first_byte(),
        ]
        loaded_bytes = self._house.gateway_memory_bytes()
        rows.append(Row("memory of the gateway, idle", "MiB", idle_bytes / MEBIBYTE))
        rows.append(Row("memory of the gateway, after the load", "MiB", loaded_bytes / MEBIBYTE))
        return rows + idle_rows

    async def _warm_up(self) -> None:
        for target in (self._through, self._direct):
            for api in APIS:
                for events in (0, 20):
                    await run_closed_loop(target, api, connections=8, duration_s=0.7, events=events)

    async def _measure_idle(self) -> list[Row]:
        before = self._house.cpu_time()
        await asyncio.sleep(3.0)
        used = self._house.cpu_time().since(before)
        total_s = used.gateway_s + used.postgres_s + used.valkey_s
        return [Row("CPU at rest, gateway and stores", "ms/s", total_s / 3.0 * 1000)]

    async def _measure_calls(self) -> list[Row]:
        rounds: dict[Api, list[_Round]] = {api: [] for api in APIS}
        for _ in range(CALL_ROUNDS):
            for api in APIS:
                samples, used = await self._with_cpu(
                    run_closed_loop(self._through, api, connections=CONNECTIONS, duration_s=CALLS_S)
                )
                rounds[api].append(_Round(samples, used, *await self._direct_calls(api)))
        return [row for api in APIS for row in _rows_of_rounds(f"{api}, whole", rounds[api])]

    async def _direct_calls(self, api: Api) -> tuple[Samples, float]:
        before_s = cpu_s_of(self._upstream_pid)
        samples = await run_closed_loop(self._direct, api, connections=CONNECTIONS, duration_s=DIRECT_CALLS_S)
        return samples, (cpu_s_of(self._upstream_pid) - before_s) / samples.count * 1e6

    async def _measure_stream(self, api: Api, interval_ms: int) -> list[Row]:
        def load(target: Target, duration_s: float) -> Coroutine[Any, Any, Samples]:
            return run_closed_loop(
                target,
                api,
                connections=STREAMS,
                duration_s=duration_s,
                events=STREAM_EVENTS,
                interval_ms=interval_ms,
            )

        samples, used = await self._with_cpu(load(self._through, STREAMS_S))
        before_s = cpu_s_of(self._upstream_pid)
        direct = await load(self._direct, DIRECT_S)
        direct_us = (cpu_s_of(self._upstream_pid) - before_s) / direct.count / STREAM_EVENTS * 1e6
        pace = f"{interval_ms} ms apart" if interval_ms else "back to back"
        note = f"{samples.count} streams of {STREAM_EVENTS}, {STREAMS} at a time"
        return _cpu_rows(f"CPU an event ({api}, {pace})", used, samples.count * STREAM_EVENTS, direct_us, note)

    async def _measure_latency(self) -> list[Row]:
        targets = [self._through, self._direct]
        (through, direct), used = await self._with_cpu(
            run_fixed_rate(targets, "messages", per_second=RATE_PER_S, duration_s=RATE_S)
        )
        name = f"messages at {RATE_PER_S:.0f}/s"
        return [
            Row(f"latency p50 ({name})", "ms", *_milliseconds(through.whole_s, direct.whole_s, 0.5)),
            Row(f"latency p99 ({name})", "ms", *_milliseconds(through.whole_s, direct.whole_s, 0.99)),
            *_cpu_rows(f"CPU a call ({name})", used, through.count, None, f"{through.count} calls"),
        ]

    async def _measure_first_byte(self) -> list[Row]:
        through, direct = await run_fixed_rate(
            [self._through, self._direct],
            "messages",
            per_second=FIRST_BYTE_PER_S,
            duration_s=FIRST_BYTE_S,
            events=FIRST_BYTE_EVENTS,
        )
        return [
            Row("first byte of a stream p50", "ms", *_milliseconds(through.first_byte_s, direct.first_byte_s, 0.5)),
            Row("first byte of a stream p99", "ms", *_milliseconds(through.first_byte_s, direct.first_byte_s, 0.99)),
        ]

    async def _with_cpu(self, load: Coroutine[Any, Any, T]) -> tuple[T, CpuTime]:
        before = self._house.cpu_time()
        result = await load
        await asyncio.sleep(AFTERWORK_S)
        return result, self._house.cpu_time().since(before)


def _rows_of_rounds(name: str, rounds: list[_Round]) -> list[Row]:
    """The round in the middle, by the cost of a call; the note has the cheapest and the dearest."""
    ordered = sorted(rounds, key=lambda one: one.call_us)
    through, used, direct, direct_us = ordered[len(ordered) // 2]
    spread = f"{ordered[0].call_us:.0f} to {ordered[-1].call_us:.0f} in {len(rounds)} rounds"
    calls = sum(one.through.count for one in rounds)
    return [
        *_cpu_rows(f"CPU a call ({name})", used, through.count, direct_us, f"{spread}, {calls} calls"),
        Row(f"calls a second ({name})", "1/s", through.per_second, direct.per_second),
    ]


def _parts_us(used: CpuTime, count: int) -> list[float]:
    return [seconds / count * 1e6 for seconds in (used.gateway_s, used.postgres_s, used.valkey_s)]


def _cpu_rows(name: str, used: CpuTime, count: int, direct_us: float | None, note: str) -> list[Row]:
    """The direct figure is the processor time of the upstream itself, as a scale."""
    parts_us = _parts_us(used, count)
    return [
        Row(name, "µs", sum(parts_us), direct_us, note),
        Row("    of it the gateway", "µs", parts_us[0]),
        Row("    of it Postgres", "µs", parts_us[1]),
        Row("    of it Valkey", "µs", parts_us[2]),
    ]


def _milliseconds(through_s: list[float], direct_s: list[float], share: float) -> tuple[float, float]:
    return percentile(through_s, share) * 1000, percentile(direct_s, share) * 1000
