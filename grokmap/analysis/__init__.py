"""Tables in, tables out: what labelled runs say of phases, edges and times."""
