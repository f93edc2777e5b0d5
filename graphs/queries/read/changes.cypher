UNWIND $keys AS key
MATCH (g:RcaChange {tenant: $tenant, id: key})
RETURN key AS id, g.component AS component, g.kind AS kind, g.name AS name, g.time AS time, g.team AS team,
       g.attributes AS attributes
