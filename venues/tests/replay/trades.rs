//! Trades of every layout.

use supervisor_core::domain::{PublicTrade, Qty};

use super::*;

fn trades_of(recording: &Recording) -> &[PublicTrade] {
    match recording {
        Recording::Trades(trades) => trades,
        Recording::Candles(_) => panic!("candles"),
    }
}

#[test]
fn trades_of_every_layout_come_out() {
    let trade = |at, price, qty| PublicTrade {
        at: Timestamp::from_millis(at),
        price: Price::new(dec(price)),
        qty: Qty::new(dec(qty)),
    };
    for (text, expected) in [
        (
            "4744868157,87232.0,0.00012,10.467840,1742944020715,True,True\n\
             4744868178,87232.0,6e-05,5.2,1742944020715,True,True\n",
            [trade(1_742_944_020_715, "87232", "0.00012"), trade(1_742_944_020_715, "87232", "0.00006")],
        ),
        (
            "202790190,7139.89000000,0.067,222825297,222825297,1577977823305,False,True\n\
             202790191,7139.97,0.002,222825298,222825298,1577977824874000,False,True\n",
            [trade(1_577_977_823_305, "7139.89", "0.067"), trade(1_577_977_824_874, "7139.97", "0.002")],
        ),
        (
            "id,price,qty,quote_qty,time,is_buyer_maker\n\
             5266583935,61800.30,0.006,370.80180,1723161256322,false\n\
             5266583936,61800.30,0.199,1,1723161256344,false\n",
            [trade(1_723_161_256_322, "61800.3", "0.006"), trade(1_723_161_256_344, "61800.3", "0.199")],
        ),
        (
            "timestamp,price,size\n1514764802610,13873,-3000\n1514764806057,13873.5,10\n",
            [trade(1_514_764_802_610, "13873", "0.21624739"), trade(1_514_764_806_057, "13873.5", "0.0007208")],
        ),
    ] {
        assert_eq!(load_text(text).as_ref().map(trades_of), Ok(&expected[..]), "{text}");
    }
}

#[test]
fn trades_are_checked() {
    let row = "10,7139.89,0.067,1.5,1577977823305,False,True";
    for (second, says) in [
        (
            "11,7139.89,0.067,1.5,1577977823304,False,True",
            "column time = 1577977823304 is unsorted: the line before has 1577977823305; allowed: the same or later",
        ),
        (
            "10,7139.89,0.067,1.5,1577977823305,False,True",
            "column id = 10 is unsorted: the line before has 10; allowed: strictly increasing",
        ),
        (
            "9,7139.89,0.067,1.5,1577977823305,False,True",
            "column id = 9 is unsorted: the line before has 10; allowed: strictly increasing",
        ),
        (
            "x,7139.89,0.067,1.5,1577977823305,False,True",
            "column id = 'x' is not a number; allowed: 0 to 999999999999999999",
        ),
        (
            "11,0,0.067,1.5,1577977823305,False,True",
            "column price = 0 is out of range; allowed: more than 0, at most 1000000000000, at most 12 decimal places",
        ),
        (
            "11,7139.89,,1.5,1577977823305,False,True",
            "column qty is empty; allowed: more than 0, at most 1000000000000, at most 12 decimal places",
        ),
        (
            "11,7139.89,0,1.5,1577977823305,False,True",
            "column qty = 0 is out of range; allowed: more than 0, at most 1000000000000, at most 12 decimal places",
        ),
        ("11,7139.89,1,1.5,1577977823305,False", "has 6 columns; allowed: 7, as on the lines before"),
    ] {
        assert_eq!(refused(&format!("{row}\n{second}\n")), format!("x.csv: line 2: {says}"));
    }
    let bitmex = |size: &str| refused(&format!("timestamp,price,size\n1514764802610,13873,{size}\n"));
    assert!(bitmex("0").starts_with("x.csv: line 2: column size = 0 is out of range"));
    assert!(
        bitmex("0.00001").ends_with("allowed: a size that at this price is 0.00000001 to 1000000000000 base units")
    );
}
