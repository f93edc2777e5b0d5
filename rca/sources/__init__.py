"""Telemetry, changes and alerts of other systems: one module per wire format, and clients that ask.

Everything gives a ``Received`` (``received``): samples, lines, spans, changes, notices of alerts, and
a topology. Read in this order: ``received``, ``registry`` (what can be pushed to us), the format you
came for. ``naming`` says who a record is about, ``assembly`` what becomes of metrics, ``asking`` how
other systems are asked, ``kafka`` how topics are read. Nothing here keeps state, and nothing is
imported from here by the engine.
"""
