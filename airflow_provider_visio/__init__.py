"""
Apache Airflow provider for Visiono (photo requests) and Vizdom (dashboard exports).

Public are, with the parameters, outputs and errors of their pages in ``docs/``:

* the classes of :mod:`.operators.visiono`, :mod:`.operators.vizdom`, :mod:`.sensors.visiono`, :mod:`.sensors.vizdom`,
  :mod:`.triggers.visiono` and :mod:`.triggers.vizdom`
* :class:`.hooks.visiono.VisionoHook` and :class:`.hooks.vizdom.VizdomHook`
* the errors of :mod:`.exceptions`, and the functions of :mod:`.assets.visiono`, :mod:`.workflow` and
  :mod:`.operators.retry_policy`
* the connection types ``visiono`` and ``vizdom`` with their extras, the section ``[visio]`` of Airflow's configuration,
  the metrics ``visio.poll.*``, and the command ``visio-sandbox``

Everything else is private and may move. ``docs/architecture.md`` shows where each concept lives.
"""

__version__ = "0.1.0"
