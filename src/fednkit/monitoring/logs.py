"""Write the server's log as JSON, one object per line."""

import json
import logging
from datetime import datetime, timezone

__all__ = ["JsonFormatter", "use_json"]


class JsonFormatter(logging.Formatter):
    """Formats a record as `time` (ISO 8601, UTC), `level`, `logger`, `message` and `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def use_json(*names: str) -> None:
    """Make these loggers, and all loggers without a handler, write JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.getLogger().handlers = [handler]
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
