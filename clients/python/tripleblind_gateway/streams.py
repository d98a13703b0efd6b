"""What a job says while it runs."""

import time
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import httpx

from tripleblind_gateway.errors import TripleblindAPIError, TripleblindProcessError
from tripleblind_gateway.formatting import lines_and_line
from tripleblind_gateway.session import Json, Session, session_or_default

if TYPE_CHECKING:
    from tripleblind_gateway.job import Job

Message = dict[str, object] | Literal["waiting on permission", "starting"]

# Of refusals these pass by themselves.
_PASSING = (429, 502, 503, 504)


class StatusOutputStream:
    """Job Output Status Message interface.

    During the running of a job its Access Points tell intermediate results, checkpoints, and any kind of message the
    protocol wants to send. Who asks late is told all of it from the first on; whoever was cut off goes on where that was.

    Usage::

        output_stream = job.get_status_stream()
        try:
            for status in output_stream.status():
                # a string with a control message, or a dict
                if isinstance(status, dict):
                    do_something(status)
        except BaseException as e:
            output_stream.handle_exception(e)
    """

    def __init__(self, job: "Job", session: Session) -> None:
        self._job = job
        self._session = session_or_default(session)

    @staticmethod
    def format_status_message(msg: dict[str, object]) -> tuple[list[str], str]:
        """Convert a message from the status stream into a human-readable form.

        Returns the formatted output (may be multi-line) and the next single-line message.
        """
        return lines_and_line(msg)

    def handle_exception(self, e: BaseException, auto_cleanup: bool = True) -> None:
        """Generic handler for exceptions that can occur during stream handling. Re-raises what is truly unexpected."""
        if isinstance(e, KeyboardInterrupt):
            self._job.handle_keyboard_interrupt(auto_cleanup=auto_cleanup, session=self._session)
        elif not isinstance(e, StopIteration | GeneratorExit):
            raise e

    def status(
        self, max_retries: int = 5, initial_wait: float = 0.5, backoff_factor: int = 2
    ) -> "Generator[Message, None, Exception | None]":
        """Obtain a generator which produces process status messages, until the job is over.

        It returns None, or the TripleblindProcessError that says how the job ended. `max_retries`: how many times to
        re-attempt a connection if a network failure occurs; raises TripleblindAPIError after that.
        """
        ended = yield from _messages(self._session, self._job.id, max_retries, initial_wait, backoff_factor)
        self._job.update_status(self._session, update_throttle=0)  # so that its result is there now
        return ended


class RemoteStatusOutputStream:
    """Remote Continuous Inference Output Stream.

    As StatusOutputStream, of a job that another party started and that it shares (`stream_to`).
    """

    def __init__(self, job_id: str, session: Session | None = None) -> None:
        self._job_id = job_id
        self._session = session_or_default(session)

    def handle_exception(self, e: BaseException) -> None:
        """The job is another's: nobody is asked whether it shall go on. Re-raises what is truly unexpected."""
        if not isinstance(e, KeyboardInterrupt | StopIteration | GeneratorExit):
            raise e

    def remote_status(
        self, max_retries: int = 5, initial_wait: float = 0.5, backoff_factor: int = 2
    ) -> "Generator[Message, None, Exception | None]":
        """As StatusOutputStream.status."""
        return _messages(self._session, self._job_id, max_retries, initial_wait, backoff_factor)


def events(
    session: Session, job_id: UUID | str, max_retries: int = 5, initial_wait: float = 0.5, backoff_factor: float = 2
) -> Iterator[Json]:
    """Every event of a job from the first to its end, once each, over as many connections as it takes."""
    last, tries_left, wait_s = 0, max_retries, initial_wait
    while True:
        try:
            with session.events(job_id, after=last) as heard:
                for event in heard:
                    if event["id"] > last:
                        last, tries_left, wait_s = event["id"], max_retries, initial_wait
                    yield event
                    if event["event"] == "end":
                        return
        except (TripleblindAPIError, httpx.TransportError) as error:
            if isinstance(error, TripleblindAPIError) and error.status not in _PASSING:
                raise
            if not tries_left:
                raise TripleblindAPIError(f"The stream of job {job_id} is away: {error}.") from error
        else:  # the gateway was stopped, or nothing follows
            if not tries_left:
                raise TripleblindAPIError(f"The stream of job {job_id} ends before the job does.")
        tries_left -= 1
        time.sleep(wait_s)
        wait_s *= backoff_factor


def _messages(
    session: Session, job_id: UUID | str, max_retries: int, initial_wait: float, backoff_factor: float
) -> "Generator[Message, None, Exception | None]":
    reason = None
    for event in events(session, job_id, max_retries, initial_wait, backoff_factor):
        kind, data = event["event"], event["data"]
        if kind == "message":
            yield data
        elif kind == "phase":
            reason = data["reason"]
        elif kind == "end" and data["phase"] != "complete":
            return TripleblindProcessError(f"The job is {data['phase']}{f': {reason}' if reason else ''}.")
    return None
