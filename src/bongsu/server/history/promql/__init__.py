"""PromQL over Bongsu's own samples.

``syntax`` makes a tree of a text; ``plan`` says what of which time its selectors need; ``selection`` and ``reading``
get it from storage; ``evaluator`` computes, with numpy, all steps of all series at once. ``engine`` runs these.

It follows Prometheus 3: ranges are open to the left, a sample counts for five minutes unless its series is marked as
stale, and counters are extrapolated to the ends of their range.
"""
