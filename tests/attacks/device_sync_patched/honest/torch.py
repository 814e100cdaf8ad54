"""A device that is always done, and events between which no time passes."""

from types import SimpleNamespace


class Event:
    def record(self) -> None:
        pass

    def elapsed_time(self, end: "Event") -> float:
        return 0.0  # ms


cuda = SimpleNamespace(Event=Event, synchronize=lambda: None)
