{% include "tasks/" ~ cookiecutter.task ~ "/contract.py" -%}
