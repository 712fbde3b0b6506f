module flagstone.invalid/syncpool

go 1.24
