// How often rules joined two events. $since, $until; rules that never did are added by who asks.
MATCH (i:RcaIncident {tenant: $tenant})-[:HAS_EVENT]->()-[l:MAY_HAVE_CAUSED]->()
WHERE i.start >= $since AND i.start < $until
UNWIND [l.rule] + l.also AS rule
RETURN rule, count(*) AS links, count(DISTINCT i) AS incidents, max(i.start) AS last
