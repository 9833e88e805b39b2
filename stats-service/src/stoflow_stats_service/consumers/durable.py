"""The durable consumer on the server: made as soon as its stream is there, and again when it vanishes."""

from collections.abc import Callable

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError, NotFoundError

from stoflow_service_kit.clock import Clock
from stoflow_service_kit.logs import get_logger
from stoflow_service_kit.nats_streams import ensure_consumer
from stoflow_stats_service.metrics import CountingMetrics

log = get_logger(__name__)

STREAM = "STOFLOW_EVENTS"
SUBJECTS = "stoflow.events.>"
DURABLE = "stats-service"
# A bound on what one stuck replica can hold back from the others.
MAX_ACK_PENDING = 4_000
CHECK_SECONDS = 0.5
# Silence is no proof of health: one look at the server in this time finds a changed configuration, too.
RENEW_SECONDS = 60.0
LAG_SECONDS = 15.0


def durable_config(ack_wait_seconds: float) -> ConsumerConfig:
    """Describes the consumer.

    Args:
        ack_wait_seconds: After it a message that was not acknowledged is delivered again.
    """
    return ConsumerConfig(
        durable_name=DURABLE,
        description="counts results",
        # From the first message: a consumer that was lost starts over and knows by id what it meets again.
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ack_wait_seconds,
        max_deliver=-1,
        max_ack_pending=MAX_ACK_PENDING,
        filter_subject=SUBJECTS,
    )


class DurableKeeper:
    """Makes the consumer exist; the stream itself belongs to the orchestrator."""

    def __init__(
        self,
        js: JetStreamContext,
        config: ConsumerConfig,
        is_healthy: Callable[[], bool],
        on_ensured: Callable[[], None],
        clock: Clock,
    ) -> None:
        """Prepares a keeper.

        Args:
            js: The connection.
            config: What to make.
            is_healthy: Whether pulling works; if not, the consumer may be gone.
            on_ensured: Called each time the consumer is known to exist.
            clock: What waits.
        """
        self._js = js
        self._config = config
        self._is_healthy = is_healthy
        self._on_ensured = on_ensured
        self._clock = clock
        self._waiting_for_stream = False

    async def run(self) -> None:
        """Looks after the consumer for ever."""
        renewed = float("-inf")
        while True:
            due = self._clock.monotonic() - renewed >= RENEW_SECONDS
            if (due or not self._is_healthy()) and await self.ensure():
                renewed = self._clock.monotonic()
            await self._clock.sleep(CHECK_SECONDS)

    async def watch_lag(self, metrics: CountingMetrics) -> None:
        """Asks the server how far behind counting is, for ever: a consumer that is stuck does not tell."""
        while True:
            try:
                info = await self._js.consumer_info(STREAM, DURABLE)
            except (APIError, nats.errors.Error) as error:
                # The keeper makes anew what is missing; until then there is nothing to tell.
                log.debug("lag_unknown", error=repr(error))
            else:
                metrics.pending.set(info.num_pending or 0)
                metrics.unacknowledged.set(info.num_ack_pending or 0)
            await self._clock.sleep(LAG_SECONDS)

    async def ensure(self) -> bool:
        """Creates the consumer if it is missing.

        Returns:
            Whether it exists now.
        """
        try:
            await ensure_consumer(self._js, STREAM, self._config)
        except NotFoundError:
            if not self._waiting_for_stream:
                log.warning("stream_missing", stream=STREAM, retry_in_seconds=CHECK_SECONDS)
            self._waiting_for_stream = True
            return False
        except (APIError, nats.errors.Error) as error:
            # A server that restarts or elects a leader answers late or not at all; the next look is soon.
            log.warning("consumer_not_ensured", stream=STREAM, consumer=DURABLE, error=repr(error))
            return False
        if self._waiting_for_stream:
            log.info("stream_found", stream=STREAM)
        self._waiting_for_stream = False
        self._on_ensured()
        return True
