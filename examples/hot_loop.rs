//! A hot loop of small objects in a `Heap`: boxes, vectors and a map without the global allocator.
//!
//! `cargo run --release --example hot_loop`

use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;
use flagstone::Heap;
use hashbrown::HashMap;

/// One order of a small book: boxed, because the book moves and sorts them.
struct Order {
    price: u64,
    quantity: u64,
}

fn main() {
    let heap = Heap::new();
    let mut book: Vec<Box<Order, &Heap>, &Heap> = Vec::new_in(&heap);
    let mut traded: HashMap<u64, u64, _, &Heap> = HashMap::new_in(&heap);

    for step in 0..1_000_000_u64 {
        // The slot that the last trade gave back is the one that this order gets.
        let order = Order {
            price: 100 + step * 7 % 50,
            quantity: 1 + step % 9,
        };
        book.push(Box::new_in(order, &heap));
        if book.len() == 64 {
            book.sort_unstable_by_key(|order| order.price);
            for order in book.drain(32..) {
                *traded.entry(order.price).or_default() += order.quantity;
            }
        }
    }

    println!(
        "{} prices, {} traded",
        traded.len(),
        traded.values().sum::<u64>()
    );
    println!("{:#?}", heap.stats());
    drop((book, traded));
    println!("{} bytes given back to the operating system", heap.trim());
}
