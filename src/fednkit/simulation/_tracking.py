"""Log runs to MLflow."""

from ..project.config import current
from ..project.console import say
from ..project.errors import ProjectError
from ..runs.run import Run


def log_to_mlflow(run_: Run, uri: str) -> None:
    """Log a run's options, metrics and files to an MLflow store."""
    import mlflow

    mlflow.set_tracking_uri(uri)
    try:
        mlflow.set_experiment(current().slug)
        with mlflow.start_run(run_name=run_.folder.name):
            mlflow.log_params(run_.config["options"])
            for line in run_.lines:
                values = {key: value for key, value in line["global"].items() if value is not None}
                mlflow.log_metrics(values, step=line["round"])
            mlflow.log_artifacts(str(run_.folder))
    except mlflow.exceptions.MlflowException as error:
        raise ProjectError(f"--mlflow {uri}: {str(error).splitlines()[0]}") from None
    say(f"mlflow: {uri}")
