"""POST /photos: a multipart form with photo[type], photo[temp_uuid] and photo[file]."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from stoflow_sandbox.marketplaces.exchange import Call, Effect, Reply
from stoflow_sandbox.marketplaces.vinted.context import Request
from stoflow_sandbox.marketplaces.vinted.errors import problem, refuse
from stoflow_sandbox.marketplaces.vinted.pictures import Picture, PictureError, read_picture
from stoflow_sandbox.marketplaces.vinted.state import Photo


@dataclass(frozen=True, slots=True)
class Upload:
    """What the form held; None where a part is missing or of the wrong kind."""

    type: str | None
    temp_uuid: str | None
    content: bytes | None


async def read_upload(call: Call) -> Upload | None:
    """Return the parts of the form, or None when the body is no multipart form."""
    if call.media_type != "multipart/form-data":
        return None

    async def chunks() -> AsyncIterator[bytes]:
        yield call.body
        yield b""

    try:
        form = await MultiPartParser(Headers(dict(call.headers)), chunks()).parse()  # type: ignore[arg-type]
    except (MultiPartException, KeyError):
        # Told to the client as a missing photo.
        return None
    kind, temp_uuid, file = form.get("photo[type]"), form.get("photo[temp_uuid]"), form.get("photo[file]")
    content = await file.read() if isinstance(file, UploadFile) else None
    await form.close()
    return Upload(
        kind if isinstance(kind, str) else None, temp_uuid if isinstance(temp_uuid, str) else None, content
    )


def add_photo(request: Request, upload: Upload | None) -> tuple[Reply, Picture | None]:
    """Keep a photo; every call makes another one, also for the same bytes."""
    problems = []
    if upload is None or upload.type != "item":
        problems.append(problem("photo[type]", "must be item"))
    if upload is None or not upload.temp_uuid:
        problems.append(problem("photo[temp_uuid]", "can't be blank"))
    picture = None
    try:
        picture = read_picture((upload.content if upload else None) or b"")
    except PictureError as error:
        problems.append(problem("photo[file]", str(error)))
    if problems or picture is None or upload is None:
        return refuse(400, problems), None
    photo = Photo(
        request.world.ids.next("photo"),
        upload.temp_uuid or "",
        picture.digest,
        picture.media_type,
        picture.width,
        picture.height,
        request.now,
    )
    request.member.photos[photo.photo_id] = photo
    content = {**photo_view(photo, request.base_url), "temp_uuid": photo.temp_uuid, "code": 0}
    return Reply(200, content, effects=[Effect("photo.created", photo.photo_id)]), picture


def photo_view(photo: Photo, base_url: str) -> dict[str, object]:
    url = f"{base_url}/photos/{photo.photo_id}"
    return {
        "id": int(photo.photo_id),
        "width": photo.width,
        "height": photo.height,
        "url": url,
        "full_size_url": url,
        "high_resolution": {"id": photo.photo_id, "timestamp": int(photo.created_time)},
    }
