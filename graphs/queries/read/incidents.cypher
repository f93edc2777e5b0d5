UNWIND $keys AS key
MATCH (i:RcaIncident {tenant: $tenant, id: key}) WHERE i.start IS NOT NULL
RETURN i.id AS id, i.title AS title, i.start AS start, i.end AS end, i.detected_at AS detected_at, i.onset AS onset,
       i.verdict AS verdict, i.component AS component, i.kind AS kind, i.change AS change, i.missing AS missing,
       i.report AS report
