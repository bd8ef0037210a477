{% include "tasks/" ~ cookiecutter.task ~ "/samples.py" -%}
