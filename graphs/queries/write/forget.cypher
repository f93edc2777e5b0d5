// Forget incidents with their events and all that was said of them. $incidents
UNWIND $incidents AS id
MATCH (i:RcaIncident {tenant: $tenant, id: id})
OPTIONAL MATCH (i)-[:HAS_EVENT]->(e:RcaEvent)
WITH i, collect(e) AS events
OPTIONAL MATCH (said:RcaFeedback|RcaResolution)-[:ABOUT|RESOLVED]->(i)
WITH i, events, collect(said) AS words
FOREACH (node IN events + words | DETACH DELETE node)
DETACH DELETE i
