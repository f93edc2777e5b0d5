from __future__ import annotations

import httpx

from rca.service.examples import WINDOW


def test_confirmed_incidents_that_looked_alike_are_named(http: httpx.Client) -> None:
    ids = []
    for _ in range(2):
        told = http.post("/api/v1/incidents", params={"wait": 60}, json=WINDOW)
        assert told.status_code == 200
        ids.append(told.headers["location"].rsplit("/", 1)[1])
    said = {"opinion": "confirmed", "component": "cart-db", "note": "a larger pool"}
    assert http.post(f"/api/v1/incidents/{ids[0]}/feedback", json=said).status_code == 201
    found = http.get(f"/api/v1/incidents/{ids[1]}/similar", params={"limit": 50}).json()["similar"]
    [first] = [one for one in found if one["incident"] == ids[0]]
    assert first["similarity"] > 0.9
    assert (first["component"], first["resolutions"]) == ("cart-db", ["a larger pool"])
    assert ids[1] not in {one["incident"] for one in found}
    of_itself = http.get(f"/api/v1/incidents/{ids[0]}/similar").json()["similar"]
    assert ids[0] not in {one["incident"] for one in of_itself}


def test_an_unknown_incident_has_no_similar_ones(http: httpx.Client) -> None:
    assert http.get("/api/v1/incidents/nowhere/similar").status_code == 404
