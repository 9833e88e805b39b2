"""JetStream streams and consumers: made when missing, changed when they differ."""

from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, ConsumerInfo, StreamConfig, StreamInfo
from nats.js.errors import BadRequestError

# "stream name already in use with a different configuration"
_STREAM_NAME_IN_USE = 10058


async def ensure_stream(js: JetStreamContext, config: StreamConfig) -> StreamInfo:
    """Creates a stream or brings an existing one to this configuration; safe to repeat, also at once.

    Raises:
        nats.js.errors.APIError: The server refuses, such as a change of retention or storage.
    """
    try:
        # Creating a stream that exists with this very configuration succeeds.
        return await js.add_stream(config)
    except BadRequestError as error:
        if error.err_code != _STREAM_NAME_IN_USE:
            raise
    return await js.update_stream(config)


async def ensure_consumer(js: JetStreamContext, stream: str, config: ConsumerConfig) -> ConsumerInfo:
    """Creates a durable consumer or brings an existing one to this configuration; safe to repeat.

    The durable name is also the name: only then does the server take the request as "create or update".

    Raises:
        nats.js.errors.APIError: The server refuses, such as a change of the deliver policy.
    """
    return await js.add_consumer(stream, config.evolve(name=config.durable_name or config.name))
