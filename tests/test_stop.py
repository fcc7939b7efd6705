"""Ctrl-C in two stages, and stops whose time has come."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from magenet_batch.stop import Stop, two_stage_stop


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", [Stop, threading.Event])
def test_the_first_signal_asks_and_the_second_ends(number, kind):
    before, stop, said = signal.getsignal(number), kind(), []
    with pytest.raises(KeyboardInterrupt), two_stage_stop(stop, say=said.append, text="stopping"):
        os.kill(os.getpid(), number)
        assert stop.is_set() and said == ["stopping"]
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_a_stop_whose_time_has_come_still_waits_for_two_signals():
    stop = Stop(after=1e-6)
    time.sleep(0.01)
    assert stop.is_set()
    with two_stage_stop(stop, say=lambda text: None, text=""):
        os.kill(os.getpid(), signal.SIGINT)


def test_without_a_time_nothing_is_due():
    assert not Stop().is_set() and not Stop(after=60).is_set()


def test_other_threads_leave_signals_alone():
    done = []

    def work():
        with two_stage_stop(Stop(), say=done.append, text=""):
            done.append("worked")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == ["worked"]
