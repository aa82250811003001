package userstore

import "testing"

func BenchmarkEmailKey(b *testing.B) {
	for name, email := range map[string]string{"ascii": "Alice@Example.com", "unicode": "Ａlice@Bücher.example"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := EmailKey(email); !ok {
					b.Fatal("refused")
				}
			}
		})
	}
}
