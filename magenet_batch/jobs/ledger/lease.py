"""The right to change the rows of a job, for as long as it is renewed in time."""

from __future__ import annotations

from collections.abc import Callable

from magenet_batch.errors import JobError, MagenetError
from magenet_batch.jobs.ledger.holder import HEARTBEAT_S, LEASE_S, Host
from magenet_batch.storage import Location

_POLL_S = 1.0


class Lease:
    """A lock's promise to its holder.

    Until `LEASE_S` seconds after the last renewal that was confirmed, counted from when it was
    requested, no other job holds the lock. Others take a lock over only when `STALE_AFTER_S`, which
    is longer, have passed on the clock of the store since the last renewal arrived. So at most one
    holder believes that it holds a lock, as long as clocks run at nearly the same rate; what they
    show does not matter. Writes that were requested before the end and arrive after it are outside
    of this promise: they are bounded by the requests' timeouts, and fenced by the ledger.

    Args:
        out: the output folder.
        how: how the lock excludes other jobs, for the log.
        renew: renews the lock; False if another job has taken it over.
        began: when the lock was requested, by the host's clock.
        host: the machine.
        revives: whether a renewal is exact: it can succeed only if no other job had the lock in the
            meantime. Then an expired lease can be renewed; else it is lost.
    """

    def __init__(
        self,
        out: Location,
        *,
        how: str,
        renew: Callable[[], bool],
        began: float,
        host: Host,
        revives: bool,
    ) -> None:
        self.how = how
        self._out = out
        self._renew = renew
        self._host = host
        self._revives = revives
        self._until = began + LEASE_S
        self.lost = False
        """Whether another job may hold the lock now, or has held it."""

    @property
    def valid(self) -> bool:
        """Whether this process may believe that it is the only holder."""
        return not self.lost and self._host.clock() < self._until

    def renew(self) -> None:
        """Renew the lease; a store that does not respond is tried again next time."""
        if self.lost or (not self.valid and not self._revives):
            self.lost = True
            return
        began = self._host.clock()
        try:
            kept = self._renew()
        except (MagenetError, OSError):
            return
        if not kept:
            self.lost = True
        elif self._revives or self.valid:
            self._until = began + LEASE_S

    def end(self) -> None:
        """End the lease, before the lock is released: another job may hold it from then on."""
        self.lost = True

    def require(self) -> None:
        """Check that the lease is valid; wait for an expired one to be renewed.

        Raises:
            JobError: another job may hold the lock now.
        """
        waited = 0.0
        while not self.valid:
            if self.lost or not self._revives or waited > LEASE_S + HEARTBEAT_S:
                self.lost = True
                raise JobError(
                    f"This job no longer holds the lock of {self._out}: it could not renew it for "
                    f"{LEASE_S / 60:.0f} minutes, or another job took it over. "
                    "Finished images are kept; re-run the same command to resume."
                )
            self._host.sleep(_POLL_S)
            waited += _POLL_S
