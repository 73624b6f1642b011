package web

import (
	"fmt"
	"testing"
	"time"
)

// Somebody with many addresses who fails once from each cannot make the server forget a name whose limit is used up.
func TestManyAddressesDoNotResetALimit(t *testing.T) {
	var l attemptLimits
	now := time.Unix(1e9, 0)
	fail := func(who string, burst int, pause time.Duration) error {
		_, err := l.begin(now, who, burst, pause)
		return err
	}
	for range factorGuesses {
		if err := fail("factor anna", factorGuesses, factorGuessWait); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 * guessers {
		if err := fail(fmt.Sprintf("address %d", i), guesses, guessEvery); err != nil {
			t.Fatalf("address %d: %v", i, err)
		}
	}
	if fail("factor anna", factorGuesses, factorGuessWait) == nil {
		t.Error("the limit of the second factor is forgotten")
	}
	if len(l.of) > guessers {
		t.Errorf("%d are remembered, at most %d", len(l.of), guessers)
	}
	now = now.Add(factorGuessWait)
	if err := fail("factor anna", factorGuesses, factorGuessWait); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}
