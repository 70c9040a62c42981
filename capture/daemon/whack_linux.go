package daemon

func askWhack(t *teller, p place) error { <-t.ctx.Done(); return t.ctx.Err() }
