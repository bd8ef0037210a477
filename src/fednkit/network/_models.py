"""The combiner's model files: private, named by UUIDs, and limited in size.

FEDn's storage appends any id that a site sends to its folder, so `../x` or an absolute path reads
and writes the server's files. It also lets every site download every other site's update, and
accepts uploads of any size.
"""

import io
import tempfile
import threading
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import fedn.network.grpc.fedn_pb2 as fedn
from fedn.network.combiner.modelservice import ModelService, model_as_bytesIO
from fedn.network.storage.models.tempmodelstorage import TempModelStorage

from ._site import TRAINING, Site
from ._sites import RefusedCall, Sites, UnknownCaller

__all__ = ["ModelFiles", "SiteModels"]

# Per array of an update. An update has the global model's arrays, at most in float64.
MAX_HEADER_BYTES = 4096
# Ids per site and round for uploads; a client's retry reuses the id.
MAX_UPLOAD_IDS = 16
# Concurrent uploads per site: a client whose connection broke may retry before the first has ended.
MAX_UPLOADS = 2


class ModelFiles(TempModelStorage):
    """FEDn's storage of model files, in a private folder.

    Attributes:
        published: The ids of the combiner's own models. Sites may download them, but may not
            upload under their ids.
    """

    def __init__(self) -> None:
        super().__init__()
        Path(self.default_dir).chmod(0o700)
        self.published: set[str] = set()

    def exist(self, model_id: str) -> bool:
        """Return whether the combiner stored the model; if so, FEDn does not fetch it again."""
        return model_id in self.published and super().exist(model_id)

    def get(self, model_id: str) -> IO[bytes] | None:
        """Return an open file; None if there is no complete one.

        FEDn's method would return a copy in memory for every site that downloads.
        """
        if self.models_metadata.get(model_id) != fedn.ModelStatus.OK:
            return None
        return Path(self.default_dir, model_id).open("rb")

    def add(self, model_id: str, file: Path) -> None:
        """Move a complete file into the folder under a new id."""
        path = Path(self.default_dir, model_id)
        file.replace(path)
        with path.open("rb") as content:
            self.models[model_id] = {"file": content}
        self.models_metadata[model_id] = fedn.ModelStatus.OK

    def discard(self, model_id: str) -> None:
        """Remove a model and its records, complete or not."""
        self.models_metadata.pop(model_id, None)
        known = self.models.pop(model_id, None)
        if known:
            known["file"].close()
            Path(self.default_dir, model_id).unlink(missing_ok=True)


class SiteModels(ModelService):
    """FEDn's service for uploads and downloads; FEDn calls it internally with `self` as context.

    Args:
        sites: Identifies the callers and knows their tasks.
    """

    def __init__(self, sites: Sites) -> None:
        super().__init__()
        self.temp_model_storage = ModelFiles()
        self._sites = sites
        self._max_bytes = 0
        self._lock = threading.Lock()
        # The client id by model id, now and in the previous round; the model id by client id.
        self._owners: dict[str, str] = {}
        self._old_owners: dict[str, str] = {}
        self._sent: dict[str, str] = {}
        self._begun: dict[str, set[str]] = {}
        self._open: dict[str, list[Any]] = {}
        self._round = ""

    def set_model(self, model: Any, id: str) -> None:
        """Publish a global model for download; its arrays limit the size of updates."""
        content = model_as_bytesIO(model)
        bound = _max_update_bytes(content.getvalue())
        with self._lock:
            # A site may have guessed the id and uploaded first.
            self.temp_model_storage.discard(id)
            self.temp_model_storage.published.add(id)
            self._max_bytes = max(self._max_bytes, bound)
        super().set_model(content, id)

    def owner(self, model_id: str) -> str | None:
        """Return the client id of the site that uploaded a model in this round; None if unknown."""
        return self._owners.get(model_id)

    def begin_round(self, model_id: str) -> None:
        """Accept updates of a global model from now on, from the sites asked to train it."""
        with self._lock:
            for unused in self._sent.values():
                self.temp_model_storage.discard(unused)
            self._round, self._sent, self._begun = model_id, {}, {}
            # A site that lost its connection may retry an upload of the previous round.
            self._old_owners, self._owners = self._owners, {}

    def end_round(self) -> None:
        """Stop accepting updates and cancel running uploads."""
        with self._lock:
            self._round = ""
            running = [context for contexts in self._open.values() for context in contexts]
        for context in running:
            context.cancel()

    def Upload(self, request_iterator: Iterator[Any], context: Any) -> Any:  # noqa: N802
        """Receive an update, completely or not at all.

        A rejection is a response with the status FAILED, because an error would end the client. A
        site that lost its connection retries under the same id, perhaps before the first attempt
        has ended here.
        """
        if context is self:
            return super().Upload(request_iterator, context)
        if (site := self._caller(context)) is None:
            return fedn.ModelResponse(status=fedn.ModelStatus.FAILED, message="unknown client")
        with self._lock:
            running = self._open.setdefault(site.client_id, [])
            running.append(context)
        try:
            if len(running) > MAX_UPLOADS:
                raise ValueError(f"expected at most {MAX_UPLOADS} uploads at once, found more")
            with tempfile.TemporaryDirectory(dir=self.temp_model_storage.default_dir) as folder:
                part = Path(folder, "part")
                model_id = self._receive(request_iterator, part, site)
                self._keep(model_id, part, site)
        except ValueError as error:
            site.report(f"upload refused: {error}")
            return fedn.ModelResponse(status=fedn.ModelStatus.FAILED, message=str(error))
        finally:
            with self._lock:
                running.remove(context)
        return fedn.ModelResponse(id=model_id, status=fedn.ModelStatus.OK)

    def Download(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        """Send a global model that the site has a task for; reject every other id."""
        if context is not self and not self._may_have(self._caller(context), request.id):
            yield fedn.ModelResponse(id=request.id, status=fedn.ModelStatus.FAILED)
            return
        yield from super().Download(request, context)

    def _may_have(self, site: Site | None, model_id: str) -> bool:
        if site is None:
            return False
        files = self.temp_model_storage
        given = model_id in files.published and site.was_given(model_id)
        if not given:
            site.report("asked for a model that it was not given")
        return given

    def _caller(self, context: Any) -> Site | None:
        """Return the calling site; None if it is not known yet. Abort other callers' calls."""
        try:
            return self._sites.caller(dict(context.invocation_metadata()), context.peer())[0]
        except UnknownCaller:
            return None
        except RefusedCall as refused:
            context.abort(refused.code, str(refused))
            raise

    def _receive(self, requests: Iterator[Any], file: Path, site: Site) -> str:
        """Write an upload to a file and return its id. Raises `ValueError` if it is rejected."""
        model_id, size = None, 0
        with file.open("wb") as content:
            for request in requests:
                if model_id is None:
                    model_id = request.id
                    self._check_new(model_id, site)
                if request.id != model_id:
                    raise ValueError("expected one id in all parts, found several")
                size += content.write(request.data)
                if size > self._max_bytes:
                    raise ValueError(f"expected at most {self._max_bytes} bytes, found more")
                if request.status == fedn.ModelStatus.OK and not request.data:
                    return str(model_id)
        raise ValueError("the upload did not end")

    def _check_new(self, model_id: str, site: Site) -> None:
        if not _is_uuid(model_id):
            raise ValueError("expected a UUID as the model's id")
        if not site.is_asked(TRAINING, self._round):
            raise ValueError("no update is asked for")
        begun = self._begun.setdefault(site.client_id, set())
        if len(begun | {model_id}) > MAX_UPLOAD_IDS:
            raise ValueError(f"expected at most {MAX_UPLOAD_IDS} ids in a round, found more")
        begun.add(model_id)
        # The id belongs to this site from the first chunk on, also for a retry.
        owner = self._owners.setdefault(model_id, site.client_id)
        taken = model_id in self.temp_model_storage.published or model_id in self._old_owners
        if owner != site.client_id or taken or self._sent.get(site.client_id) == model_id:
            raise ValueError("expected a new id, found one that is taken")

    def _keep(self, model_id: str, file: Path, site: Site) -> None:
        """Store a complete upload; of two with the same id, keep the first.

        It replaces an earlier upload of the site in this round: a client that was late in the
        previous round uploads that model first.
        """
        with self._lock:
            self._check_new(model_id, site)
            if before := self._sent.get(site.client_id):
                self.temp_model_storage.discard(before)
            self._sent[site.client_id] = model_id
            self.temp_model_storage.add(model_id, file)


def _is_uuid(text: str) -> bool:
    """Return whether a text is a UUID in canonical spelling, so that no two ids name one file."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _max_update_bytes(model: bytes) -> int:
    """Return the maximum size of an update, from the model's uncompressed arrays."""
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        return sum(2 * member.file_size + MAX_HEADER_BYTES for member in archive.infolist())
