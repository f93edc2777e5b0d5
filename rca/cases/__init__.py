"""Loaders of labelled incidents: public data sets and native folders become cases, the answers apart."""
